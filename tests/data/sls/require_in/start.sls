a:
  probe.nop: []
b:
  probe.nop:
    - require_in:
      - probe: a
c:
  mark.nop:
    - require_in:
      - probe: a
      - probe: b
d:
  probe.nop:
    - require_in:
      - a
e:
  probe.nop:
    - name: ename
f:
  mark.changed:
    - watch_in:
      - probe: ename
