a: {probe.nop: []}
b: {probe.nop: [{onfail: [{probe: d}]}]}
c: {probe.nop: [{watch: [{probe: e}]}, {order: 2}]}
d: {probe.nop: [{order: 9}]}
e: {probe.nop: []}
f: {probe.nop: [{prereq: [{probe: a}]}, {order: 50}]}
g: {probe.nop: [{require: [{probe: h}]}, {order: 1}]}
h: {probe.nop: [{onchanges: [{probe: e}]}]}
