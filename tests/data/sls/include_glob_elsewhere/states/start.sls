include:
  - dev: sub.*
a: probe.nop
