include:
  - .web.server
config: probe.nop
