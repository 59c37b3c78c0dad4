a:
  probe.nop:
    - flag:
    - deep: {list: [1, {x: [2, 3]}], none: ~}
    - empty_list: []
    - empty_map: {}
    - one: 1
    - one: 2
    - "quoted key": yes
    - {first: 1, second: 2}
    - float: 1.0
    - text: "yes"
    - state: ignored
    - fun: ignored
