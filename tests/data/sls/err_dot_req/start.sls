a: {probe.nop: [{require: [{probe.nop: b}]}]}
b: probe.nop
