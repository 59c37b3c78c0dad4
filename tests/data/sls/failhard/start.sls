a: probe.changed
b: {probe.failed: [{failhard: true}]}
c: probe.nop
d: {probe.nop: [{listen: [{probe: a}]}]}
