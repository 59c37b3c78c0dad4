skipped: {probe.changed: [{unless: 'true'}]}
ran: {probe.changed: [{onlyif: 'true'}]}
a: {probe.nop: [{require: [{probe: skipped}]}]}
b: {probe.nop: [{watch: [{probe: skipped}]}]}
c: {probe.nop: [{onchanges: [{probe: skipped}]}]}
d: {probe.nop: [{watch: [{probe: ran}]}, {onlyif: 'false'}]}
e: {probe.nop: [{listen: [{probe: ran}]}, {onlyif: 'false'}]}
f: {probe.nop: [{prereq: [{probe: g}]}]}
g: {probe.changed: [{unless: 'true'}]}
h: {probe.failed: [{unless: 'true'}]}
i: {probe.nop: [{onfail: [{probe: h}]}]}
