a:
  probe.nop:
    - x: 1
   - y: 2
