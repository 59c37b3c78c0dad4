source:
  probe.nop:
    - flag: 1
    - other: 2
    - name: sourcename
    - require:
      - mark: m
target:
  probe.nop:
    - flag: mine
    - use:
      - probe: source
pushed:
  probe.nop:
    - third: 3
giver:
  probe.nop:
    - fourth: 4
    - use_in:
      - probe: pushed
m: mark.nop
