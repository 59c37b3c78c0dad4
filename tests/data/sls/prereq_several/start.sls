one: probe.changed
two: probe.nop
a: {probe.nop: [{prereq: [{probe: one}, {probe: two}]}]}
b: {probe.nop: [{prereq: [{probe: two}]}]}
c: {probe.nop: [{prereq: [{probe: one}]}]}
