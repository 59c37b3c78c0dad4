list: [1, 2]
deep: {l: [a]}
