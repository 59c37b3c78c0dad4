b1: {probe.nop: [{require: [{probe: a1}]}]}
b2: probe.nop
