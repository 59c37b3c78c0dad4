more: 1
