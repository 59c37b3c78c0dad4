a: {probe.changed: [{onlyif: ['true', 'false']}]}
c: {probe.changed: [{onlyif: [{fun: test.true}, {fun: test.true}]}]}
d: {probe.changed: [{onlyif: {fun: test.true}}]}
e: {probe.changed: [{onlyif: [{fun: test.arg, x: 1, get_return: 'kwargs:x'}]}]}
f: {probe.changed: [{onlyif: [{fun: test.arg, x: 0, get_return: 'kwargs:x'}]}]}
g: {probe.changed: [{onlyif: [{nofun: 1}]}]}
h: {probe.changed: [{onlyif: 'exit 3'}, {success_retcodes: [3]}]}
i: {probe.changed: [{names: [i1, i2]}, {onlyif: 'true'}]}
