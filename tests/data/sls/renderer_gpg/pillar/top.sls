base: {'*': [secrets, literal]}
