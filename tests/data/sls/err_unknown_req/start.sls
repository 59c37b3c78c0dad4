a: {probe.nop: [{require: [{probe: zz}]}]}
