a: {probe.nop: [{require: [{probe: b}]}]}
b: probe.failed
c: {probe.nop: [{onchanges: [{probe: a}]}]}
