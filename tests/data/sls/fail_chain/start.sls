bad: probe.failed
a: {probe.nop: [{require: [{probe: bad}]}]}
b: {probe.nop: [{require: [{probe: a}]}]}
c: {probe.nop: [{require_any: [{probe: bad}, {probe: ok}]}]}
d: {probe.nop: [{require_any: [{probe: bad}, {probe: a}]}]}
e: {probe.nop: [{watch: [{probe: bad}]}]}
ok: probe.nop
