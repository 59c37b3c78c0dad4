base: {'*': [empty, comment]}
