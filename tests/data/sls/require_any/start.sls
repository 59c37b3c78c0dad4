bad: probe.failed
good: probe.nop
a: {probe.nop: [{require_any: [{probe: bad}, {probe: good}]}]}
b: {probe.nop: [{require_any: [{probe: bad}]}]}
c: {probe.nop: [{require_any: [{probe: b}, {probe: bad}]}]}
d: {probe.nop: [{require_any: [{probe: good}]}, {require: [{probe: bad}]}]}
