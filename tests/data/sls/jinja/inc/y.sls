inc_y:
  probe.nop:
    - flag: {{ tpldir }}
