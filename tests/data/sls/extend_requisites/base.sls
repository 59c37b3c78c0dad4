web:
  probe.nop:
    - require:
      - mark: dep
    - flag: first
    - list: [1, 2]
dep: mark.nop
db: probe.nop
