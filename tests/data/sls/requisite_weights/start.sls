n1: probe.changed
n2: probe.changed
n3: probe.nop
x: {probe.nop: [{require: [{probe: n3}]}, {watch: [{probe: n1}]}, {order: 7}]}
y: {probe.nop: [{onchanges: [{probe: n2}]}, {require: [{probe: x}]}, {order: 3}]}
z: {probe.nop: [{listen: [{probe: n2}]}, {order: 1}]}
w: {probe.nop: [{prereq: [{probe: v}]}]}
v: {probe.changed: [{require: [{probe: n2}]}]}
