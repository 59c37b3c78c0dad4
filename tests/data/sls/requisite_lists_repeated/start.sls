a:
  probe.nop:
    - require:
      - mark: m1
    - require:
      - mark: m2
    - watch:
      - mark: m3
m1: mark.nop
m2: mark.nop
m3: mark.nop
b:
  probe.nop:
    - require:
      - probe: a
      - probe: a
    - require_in:
      - probe: c
c:
  probe.nop:
    - require:
      - probe: b
