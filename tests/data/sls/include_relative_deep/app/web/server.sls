include:
  - ...shared
  - ..config
server: probe.nop
