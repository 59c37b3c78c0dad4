base: {'*': [one]}
dev: {'*': [d]}
