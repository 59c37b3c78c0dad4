config: 1
