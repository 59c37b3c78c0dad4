one: {probe.nop: [{name: shared}]}
two: {mark.nop: [{name: shared}]}
three: {probe.nop: [{name: shared, flag: 1}]}
a: {probe.nop: [{require: [{probe: shared}]}]}
b: {probe.nop: [{require: [shared]}]}
c: {probe.nop: [{require: [{id: shared}]}]}
