ports:
  probe.nop:
    - names: ['80', '443']
none:
  probe.nop:
    - names: []
both:
  probe.nop:
    - name: alone
    - names: [x, y]
twice:
  probe.nop:
    - names: [p]
    - names: [q]
