a: {probe.nop: [{require: [{probe: a}]}]}
