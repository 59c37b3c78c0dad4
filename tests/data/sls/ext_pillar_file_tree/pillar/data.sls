conf: {own: 1}
