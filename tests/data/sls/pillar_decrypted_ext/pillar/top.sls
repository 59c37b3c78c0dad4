base: {'*': [secrets]}
