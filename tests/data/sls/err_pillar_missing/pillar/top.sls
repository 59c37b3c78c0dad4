base: {'*': [nothere]}
