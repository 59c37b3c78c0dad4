include:
  - _xenv: nothere
a: probe.nop
