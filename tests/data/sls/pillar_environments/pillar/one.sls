env: base
one: 1
