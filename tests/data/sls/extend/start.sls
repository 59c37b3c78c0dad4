include:
  - base
extend:
  web:
    probe:
      - flag: new
      - require:
        - mark: extra
  realname:
    mark.nop:
      - flag: named
  multi:
    probe.changed:
      - name: single
extra: mark.nop
