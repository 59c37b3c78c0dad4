web1: probe.changed
web2: probe.nop
db1: mark.nop
a: {probe.nop: [{watch: [{probe: 'web*'}]}]}
b: {probe.nop: [{onchanges: [{probe: 'web[12]'}]}]}
c: {probe.nop: [{require: ['*b1']}]}
e: {probe.nop: [{require: [{id: 'web*'}]}]}
