a: {probe.nop: [{require_in: [{probe: b}]}]}
b: {probe.nop: [{require_in: [{probe: a}]}]}
