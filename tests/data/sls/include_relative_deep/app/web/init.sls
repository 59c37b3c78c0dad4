include:
  - .server
  - ..config
web: probe.nop
