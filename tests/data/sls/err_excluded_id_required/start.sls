exclude: [{id: b}]
a: {probe.nop: [{require: [{probe: b}]}]}
b: probe.nop
