a: {probe.nop: [{require: [{probe: b}]}]}
b: {probe.nop: [{watch: [{probe: c}]}]}
c: {probe.nop: [{onchanges: [{probe: a}]}]}
