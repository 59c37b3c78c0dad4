a: {probe.changed: [{unless: 'true'}]}
b: {probe.changed: [{unless: ['true', 'false']}]}
c: {probe.changed: [{onlyif: 'false'}]}
d: {probe.changed: [{onlyif: ['true', 'true']}]}
e: {probe.changed: [{creates: /etc/passwd}]}
f: {probe.changed: [{creates: [/etc/passwd, /nonexistent/x]}]}
g: {probe.changed: [{unless: [{fun: test.true}]}]}
h: {probe.changed: [{onlyif: [{fun: test.false}]}]}
i: {probe.changed: [{onlyif: [{fun: test.arg, x: 1, get_return: 'kwargs:x'}]}]}
j: {probe.changed: [{onlyif: 'true'}, {unless: 'true'}]}
k: {probe.nop: [{onchanges: [{probe: a}]}]}
l: {probe.nop: [{watch: [{probe: d}]}, {unless: 'true'}]}
m: {probe.changed: [{check_cmd: 'false'}]}
n: {probe.failed: [{check_cmd: ['true']}]}
