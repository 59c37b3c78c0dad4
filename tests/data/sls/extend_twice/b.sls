include: [base]
extend:
  base:
    probe:
      - flag: b
      - require: [{mark: n}]
