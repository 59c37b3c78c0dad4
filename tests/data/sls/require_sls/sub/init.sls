include:
  - .more
s1: probe.nop
