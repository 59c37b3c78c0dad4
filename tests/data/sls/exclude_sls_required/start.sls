include: [gone, kept]
exclude:
  - sls: gone
a: {probe.nop: [{require: [{sls: gone}, {sls: kept}]}]}
