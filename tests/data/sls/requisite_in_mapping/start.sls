a:
  probe.nop:
    - require_in:
        probe: c
b:
  probe.nop:
    - watch_in: [c]
c: probe.nop
