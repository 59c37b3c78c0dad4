secret:
  probe.changed:
    - no_log: true
    - password: hunter2
after: {probe.nop: [{watch: [{probe: secret}]}]}
