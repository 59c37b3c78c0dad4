a: {probe.nop: []}
b: {probe.nop: []}
c: {probe.nop: [{order: -1}, {require: [{probe: b}]}]}
d: {probe.nop: [{order: last}, {require: [{probe: a}]}]}
