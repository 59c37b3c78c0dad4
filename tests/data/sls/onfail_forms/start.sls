bad: probe.failed
bad2: mark.nop
good: probe.nop
a: {probe.nop: [{onfail_any: [{probe: good}, {probe: bad}]}]}
b: {probe.nop: [{onfail_all: [{probe: bad}, {mark: bad2}]}]}
c: {probe.nop: [{onfail: [{probe: bad}]}]}
d: {probe.nop: [{require: [{probe: c}]}]}
e: {probe.failed: [{onfail: [{probe: bad}]}]}
f: {probe.nop: [{onfail: [{probe: e}]}]}
g: {probe.nop: [{onfail: [{probe: good}]}, {require: [{probe: good}]}]}
h: {probe.nop: [{onfail: [{probe: bad}]}, {require: [{probe: good}]}]}
i: {probe.nop: [{onfail: [{probe: bad}]}, {require: [{probe: bad}]}]}
