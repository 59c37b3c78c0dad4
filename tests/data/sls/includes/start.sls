include:
  - a.b
  - sub
  - wild.*
  - start
first: probe.nop
