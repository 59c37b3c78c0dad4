many:
  probe.changed:
    - names: [n1, n2]
    - require:
      - mark: m
after:
  probe.nop:
    - require:
      - probe: many
one:
  probe.nop:
    - require:
      - probe: n2
m: mark.nop
