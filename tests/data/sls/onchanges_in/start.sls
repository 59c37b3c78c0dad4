src:
  probe.changed:
    - onchanges_in:
      - probe: one
      - mark: two
still:
  probe.nop:
    - onchanges_in:
      - probe: three
one: probe.nop
two: mark.nop
three: probe.nop
