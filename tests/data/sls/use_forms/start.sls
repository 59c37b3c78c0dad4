source:
  probe.nop:
    - name: sourced
    - flag: source
    - list: [1, 2]
    - require: [{mark: m}]
    - unless: 'false'
    - order: 5
one:
  probe.nop:
    - use: [{probe: source}]
two:
  mark.nop:
    - flag: own
    - use: [{probe: source}]
three:
  probe.nop:
    - third: 3
    - use_in:
      - probe: four
      - probe: five
four: probe.nop
five: {probe.nop: [{third: own}]}
m: mark.nop
