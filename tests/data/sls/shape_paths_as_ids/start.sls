/etc/app.d/app.conf:
  probe.nop: []
"c:d":
  probe.nop: []
a.b.c:
  probe.nop: []
"with space and 'quotes'":
  mark.nop: []
last:
  probe.nop:
    - require:
      - probe: /etc/app.d/app.conf
      - probe: c:d
      - probe: a.b.c
      - mark: "with space and 'quotes'"
