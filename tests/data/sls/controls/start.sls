a: {probe.changed: [{fire_event: true}]}
b: {probe.changed: [{fire_event: custom/tag}]}
c: {probe.changed: [{reload_modules: true}]}
d: {probe.changed: [{reload_grains: false}]}
e: {probe.nop: [{umask: '022'}]}
f: {probe.nop: [{saltenv: base}]}
g: {probe.nop: [{timeout: 5}]}
h: {probe.nop: [{aggregate: true}]}
