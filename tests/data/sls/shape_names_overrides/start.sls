many:
  probe.nop:
    - flag: common
    - names:
      - one
      - two:
        - flag: own
        - require:
          - mark: m
      - four: []
    - watch:
      - mark: w
m: mark.nop
w: mark.nop
