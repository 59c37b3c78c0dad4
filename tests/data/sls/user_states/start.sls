a: {custom.everything: [{x: 1}]}
b: {custom.calls_states: []}
c: {renamed.hello: []}
d: {custom.listed: []}
f: {probe.nop: [{watch: [{custom: a}]}]}
g: {custom.everything: [{watch: [{custom: a}]}]}
