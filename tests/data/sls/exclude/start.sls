include:
  - base
  - gone.a
  - gone.b
exclude:
  - id: dep
  - sls: gone.*
  - plain
web: probe.nop
