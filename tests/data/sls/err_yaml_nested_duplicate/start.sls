a:
  probe.nop:
    - data: {k: 1, k: 2}
