a:
  probe.nop:
