a:
  probe.nop: []
  probe.changed: []
