conf: probe.changed
svc:
  probe.nop:
    - listen:
      - probe: conf
svc2:
  probe.nop:
    - listen:
      - probe: same
same: probe.nop
giver:
  mark.changed:
    - listen_in:
      - probe: svc2
tail: probe.nop
