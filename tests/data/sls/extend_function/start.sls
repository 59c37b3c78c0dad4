include: [base]
extend:
  a:
    probe.changed: []
  b:
    probe:
      - changed
