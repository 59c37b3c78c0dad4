a:
  probe:
    - nop
    - changed
