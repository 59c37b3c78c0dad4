a:
  probe.nop: []
  __comment: whatever
