include:
  - dev: tools
  - dev: sub.x
  - local
a: {probe.nop: [{require: [{probe: t}]}]}
