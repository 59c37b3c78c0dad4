a:
  probe:
    - flag: 1
