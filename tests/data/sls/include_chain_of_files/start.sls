include: [s1]
z: {probe.nop: [{require: [{sls: s1}]}]}
