a: {probe.failed: [{failhard: false}]}
b: {probe.nop: [{require: [{probe: a}]}, {failhard: true}]}
c: probe.nop
