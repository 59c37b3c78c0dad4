a: {probe.nop: [{order: last}]}
b: {probe.nop: [{order: first}, {require: [{probe: c}]}]}
c: {probe.nop: [{order: 500}]}
d: {probe.nop: [{order: -3}]}
e: {probe.nop: [{order: -2}]}
f: {probe.nop: [{require: [{probe: a}]}]}
g: {probe.nop: [{order: 0}]}
h: {probe.nop: [{order: 10002}]}
