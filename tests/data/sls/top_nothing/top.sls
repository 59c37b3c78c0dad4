base: {'zz*': [all]}
