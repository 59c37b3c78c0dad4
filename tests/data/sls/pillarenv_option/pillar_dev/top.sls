dev: {'*': [two]}
