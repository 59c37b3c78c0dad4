deploy:
  probe.changed: []
notify:
  probe.nop: []
stop:
  probe.nop:
    - prereq:
      - probe: deploy
    - require:
      - mark: m
pull:
  probe.nop:
    - prereq_in:
      - probe: notify
m: mark.nop
