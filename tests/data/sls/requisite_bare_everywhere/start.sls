ch: probe.changed
bad: probe.failed
same: mark.nop
a: {probe.nop: [{watch: [ch]}]}
b: {probe.nop: [{onchanges: [ch, same]}]}
c: {probe.nop: [{onfail: [bad]}]}
d: {probe.nop: [{prereq: [ch2]}]}
e: {probe.nop: [{listen: [ch]}]}
f: {probe.nop: [{require_any: [bad, same]}]}
ch2: probe.changed
