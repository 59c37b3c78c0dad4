include:
  - more
t: probe.nop
