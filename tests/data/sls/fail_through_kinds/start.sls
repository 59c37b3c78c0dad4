bad: probe.failed
w: {probe.nop: [{watch: [{probe: bad}]}]}
w2: {probe.nop: [{watch: [{probe: w}]}]}
o: {probe.nop: [{onchanges: [{probe: w}]}]}
p: {probe.nop: [{prereq: [{probe: w}]}]}
l: {probe.nop: [{listen: [{probe: w}]}]}
f: {probe.nop: [{onfail: [{probe: w}]}]}
