b: {probe.changed: [{onlyif: []}]}
c: {probe.changed: [{unless: []}]}
e: {probe.changed: [{onlyif: [{fun: test.arg, args: [1, 2], get_return: 'args:0'}]}]}
j: {probe.changed: [{onlyif: 'umask | grep -q 0077'}, {umask: '0077'}]}
