exclude:
  - id: b
o: probe.nop
