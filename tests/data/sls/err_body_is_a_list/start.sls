a:
  - probe.nop
