base: {'*': [one, 'nothing.*']}
