include:
  - .c
  - ..top2
ab: probe.nop
