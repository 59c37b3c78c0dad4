base: {'*': [ntp]}
