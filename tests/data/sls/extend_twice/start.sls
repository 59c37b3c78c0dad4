include: [a, b]
extend:
  base:
    probe:
      - flag: start
      - start: 1
