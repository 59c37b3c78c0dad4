extend:
  zz:
    probe.nop:
      - flag: 1
a: probe.nop
