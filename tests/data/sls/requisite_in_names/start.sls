a:
  probe.nop:
    - names: [x, y]
    - require_in:
      - probe: z
z: probe.nop
