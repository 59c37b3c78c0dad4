sub: {one: 1}
