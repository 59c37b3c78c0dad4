base: {'*': [other]}
dev: {'*': [d]}
