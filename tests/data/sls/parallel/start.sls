a: {probe.changed: [{parallel: true}]}
b: {probe.nop: [{parallel: true}, {require: [{probe: a}]}]}
c: {probe.failed: [{parallel: true}]}
d: {probe.nop: [{parallel: true}, {require: [{probe: c}]}]}
e: {probe.nop: [{onchanges: [{probe: a}]}, {parallel: true}]}
f: {probe.nop: [{onfail: [{probe: c}]}, {parallel: true}]}
g: {probe.changed: [{watch: [{probe: a}]}, {parallel: true}]}
h: {probe.nop: [{names: [h1, h2, h3]}, {parallel: true}]}
i: {probe.nop: [{require: [{probe: h}]}]}
j: {probe.boom: [{parallel: true}]}
k: {probe.nop: [{parallel: false}, {order: first}]}
