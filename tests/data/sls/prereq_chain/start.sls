a: {probe.changed: [{prereq: [{probe: b}]}]}
b: {probe.changed: [{prereq: [{probe: c}]}]}
c: {probe.changed: [{require: [{mark: d}]}]}
d: mark.nop
