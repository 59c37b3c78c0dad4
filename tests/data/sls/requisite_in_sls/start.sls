include: [other]
a:
  probe.nop:
    - require_in:
      - sls: other
b:
  probe.changed:
    - watch_in:
      - sls: other
