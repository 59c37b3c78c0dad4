a: {probe.nop: [{flag: 1}]}
extend:
  a:
    probe:
      - flag: 2
