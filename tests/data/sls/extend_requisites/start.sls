include: [base]
extend:
  web:
    probe.nop:
      - require:
        - mark: extra
      - watch:
        - mark: extra
      - flag: replaced
      - added: true
  db:
    probe:
      - require_in:
        - probe: web
extra: mark.nop
