late:
  probe.nop:
    - require:
      - probe: early
      - mark: other
early:
  probe.nop:
    - require:
      - probe: deeper
other: mark.nop
deeper: probe.nop
first: probe.nop
