base: {'*': [php]}
