include:
  - .config
  - .web
  - ..shared
app: probe.nop
