include: [base]
extend:
  base:
    probe:
      - flag: a
      - require: [{mark: m}]
