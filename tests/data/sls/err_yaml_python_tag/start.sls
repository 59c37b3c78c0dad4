a:
  probe.nop:
    - x: !!python/name:os.system
