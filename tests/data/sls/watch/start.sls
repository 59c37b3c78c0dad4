conf: probe.changed
same: probe.nop
svc:
  probe.nop:
    - watch:
      - probe: conf
svc2:
  probe.nop:
    - watch:
      - probe: same
svc3:
  probe.changed:
    - watch:
      - probe: conf
nowatch:
  mark.nop:
    - watch:
      - probe: conf
any:
  probe.nop:
    - watch_any:
      - probe: same
      - probe: conf
