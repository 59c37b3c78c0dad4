include:
  - stxr

a:
  probe.nop:
    - require:
      - probe: web*
web1: probe.nop
web2: probe.nop
db: probe.nop
b:
  probe.nop:
    - order: 1
    - require:
      - sls: st*r
