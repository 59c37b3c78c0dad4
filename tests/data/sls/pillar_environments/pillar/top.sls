base: {'*': [one]}
dev: {'*': [two]}
