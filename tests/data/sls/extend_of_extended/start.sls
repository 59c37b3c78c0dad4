include: [middle, other]
extend:
  base-one:
    probe:
      - level: start
      - require: [{probe: other-one}]
      - names: [n1, n2: [{extra: 1}]]
  middle-one:
    probe.nop:
      - from_start: true
own:
  probe.nop:
    - require_in: [{probe: base-two}]
    - watch: [{probe: base-one}]
exclude:
  - sls: excluded.*
  - id: base-three
