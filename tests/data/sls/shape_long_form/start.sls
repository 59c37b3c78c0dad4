a:
  probe:
    - nop
    - flag: 1
  mark:
    - nop
b:
  probe:
    - name: bee
    - nop
c:
  probe.nop:
    - name: sea
  mark.nop:
    - name: see
