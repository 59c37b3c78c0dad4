list: [2, 3]
deep: {l: [a, b]}
