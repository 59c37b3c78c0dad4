tree: {own: 1, over: none}
