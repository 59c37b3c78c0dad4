web:
  probe.nop:
    - require:
      - mark: web
  mark.nop:
    - name: other
db:
  mark.nop:
    - require_in:
      - probe: db
  probe.nop: []
