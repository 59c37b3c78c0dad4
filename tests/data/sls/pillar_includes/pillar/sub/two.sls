sub: {two: 2}
