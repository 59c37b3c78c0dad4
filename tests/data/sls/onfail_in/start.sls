bad:
  probe.failed:
    - onfail_in:
      - probe: cleanup
good:
  probe.nop:
    - onfail_in:
      - probe: never
cleanup: probe.changed
never: probe.changed
