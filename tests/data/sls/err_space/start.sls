a:
  probe:
    - nop x
    - flag y
