shared: 1
