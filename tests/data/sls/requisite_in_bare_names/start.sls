a:
  probe.nop:
    - require_in:
      - named
      - multi
b: {mark.nop: [{name: named}]}
multi:
  probe.nop: []
  mark.nop: []
