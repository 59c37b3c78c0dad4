from: {tree: 1, kept: 1}
list: [1, 2]
