base: {'*': [bad]}
