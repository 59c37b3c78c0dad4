a:
  probe.nop:
    - mode: 0644
    - octal: 0o17
    - hex: 0x1f
    - date: 2001-01-01
    - time: 12:30
    - truth: [yes, No, on, off, true, ~]
    - text: |
        two
        lines
    - folded: >-
        a
        b
    - sci: 1e3
    - f: 1.50
b:
  probe.nop:
    - data: &c {mode: 0755}
c:
  mark.nop:
    - data: *c
    - more:
        <<: *c
        x: 1
