base: {'*': {x: y}}
