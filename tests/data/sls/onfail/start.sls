good: probe.nop
bad: probe.failed
dep: {probe.nop: [{require: [{probe: bad}]}]}
a: {probe.nop: [{onfail: [{probe: bad}]}]}
b: {probe.nop: [{onfail: [{probe: good}]}]}
c: {probe.nop: [{onfail: [{probe: good}, {probe: bad}]}]}
d: {probe.nop: [{onfail_all: [{probe: good}, {probe: bad}]}]}
e: {probe.nop: [{onfail_any: [{probe: good}, {probe: bad}]}]}
f: {probe.nop: [{onfail_all: [{probe: bad}]}]}
g: {probe.nop: [{onfail: [{probe: dep}]}]}
h: {probe.nop: [{require: [{probe: b}]}]}
