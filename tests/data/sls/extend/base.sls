web:
  probe.nop:
    - flag: old
    - require:
      - mark: dep
dep: mark.nop
other:
  mark.nop:
    - name: realname
multi:
  probe.nop:
    - names: [x, y]
