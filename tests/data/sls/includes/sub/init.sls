include:
  - .x
si: probe.nop
