conf:
  probe.changed:
    - watch_in:
      - probe: svc
      - mark: nowatch
same:
  probe.nop:
    - watch_in:
      - probe: svc2
svc: probe.nop
svc2: probe.nop
nowatch: mark.nop
