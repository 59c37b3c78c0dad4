deploy: probe.changed
stop:
  probe.nop:
    - prereq:
      - probe: deploy
quiet: probe.nop
stop2:
  probe.nop:
    - prereq:
      - probe: quiet
viain:
  probe.nop:
    - name: vi
viaout:
  probe.changed:
    - prereq_in:
      - probe: viain
