a: {probe.nop: [{require: [{probe: b, mark: c}]}]}
b: probe.nop
c: mark.nop
