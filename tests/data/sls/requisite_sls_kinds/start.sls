include: [chg, same, bad]
a: {probe.nop: [{watch: [{sls: chg}]}]}
b: {probe.nop: [{onchanges: [{sls: same}]}]}
c: {probe.nop: [{onchanges: [{sls: chg}]}]}
d: {probe.nop: [{onfail: [{sls: bad}]}]}
e: {probe.nop: [{require: [{sls: bad}]}]}
f: {probe.nop: [{require_any: [{sls: bad}, {sls: same}]}]}
