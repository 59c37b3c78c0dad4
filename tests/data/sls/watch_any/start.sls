bad: probe.failed
ch: probe.changed
same: probe.nop
a: {probe.nop: [{watch_any: [{probe: bad}, {probe: ch}]}]}
b: {probe.nop: [{watch_any: [{probe: bad}, {probe: same}]}]}
c: {probe.nop: [{watch_any: [{probe: bad}]}]}
d: {mark.nop: [{watch_any: [{probe: ch}, {probe: same}]}]}
