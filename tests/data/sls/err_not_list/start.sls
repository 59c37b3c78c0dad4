a:
  probe.nop: {flag: 1}
