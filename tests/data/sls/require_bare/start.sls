a:
  probe.nop:
    - require:
      - c
b:
  probe.nop:
    - require:
      - id: d
      - by name
c: mark.nop
d: mark.nop
e:
  probe.nop:
    - name: by name
