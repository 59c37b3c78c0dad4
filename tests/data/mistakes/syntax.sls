# 3: the same key twice
doubled:
  file.managed:
    - context: {a: 1, a: 2}
