a:
  probe.nop: []
b: probe.nop
c:
  probe:
    - nop
    - name: cc
d:
  probe.nop:
    - name: 5
e:
  probe.changed:
    - names:
      - e1
      - e2:
        - extra: 1
      - e1
  mark.nop: []
