include: [base, excluded.one]
extend:
  base-one:
    probe:
      - level: middle
      - list: [m]
      - require: [{probe: middle-one}]
  base-two:
    probe:
      - watch: [{probe: middle-one}]
middle-one: {probe.nop: [{level: own}]}
