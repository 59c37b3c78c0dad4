include: [base]
other-one: probe.nop
extend:
  base-two: {probe: [{order: last}]}
