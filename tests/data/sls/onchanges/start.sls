ch: probe.changed
same: probe.nop
bad: probe.failed
a: {probe.nop: [{onchanges: [{probe: ch}]}]}
b: {probe.nop: [{onchanges: [{probe: same}]}]}
c: {probe.nop: [{onchanges: [{probe: same}, {probe: ch}]}]}
d: {probe.nop: [{onchanges_any: [{probe: same}, {probe: ch}]}]}
e: {probe.nop: [{onchanges: [{probe: bad}]}]}
f:
  probe.changed:
    - onchanges_in:
      - probe: g
g: probe.nop
h: {probe.nop: [{onchanges: [{probe: ch}]}, {require: [{probe: bad}]}]}
