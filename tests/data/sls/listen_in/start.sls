conf:
  probe.changed:
    - listen_in:
      - probe: svc
      - probe: many
svc: probe.nop
many: {probe.nop: [{names: [m1, m2]}]}
tail: probe.nop
