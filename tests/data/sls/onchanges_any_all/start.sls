ch: probe.changed
ch2: mark.changed
same: probe.nop
bad: probe.failed
a: {probe.nop: [{onchanges_any: [{probe: same}, {mark: ch2}]}]}
b: {probe.nop: [{onchanges_any: [{probe: same}, {probe: bad}]}]}
c: {probe.nop: [{onchanges: [{probe: ch}, {probe: bad}]}]}
d: {probe.nop: [{onchanges: [{probe: ch}, {mark: ch2}]}, {watch: [{probe: ch}]}]}
e: {probe.nop: [{onchanges: [{probe: same}]}, {watch: [{probe: ch}]}]}
f: {probe.nop: [{onchanges: [{probe: d}]}]}
