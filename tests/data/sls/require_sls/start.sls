include:
  - other
  - empty
  - sub
a:
  probe.nop:
    - require:
      - sls: other
b:
  probe.nop:
    - require_in:
      - sls: sub
