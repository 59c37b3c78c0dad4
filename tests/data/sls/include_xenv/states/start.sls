include:
  - _xenv: local
a: probe.nop
