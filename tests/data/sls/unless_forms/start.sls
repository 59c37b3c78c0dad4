a: {probe.changed: [{unless: ['false', 'false']}]}
c: {probe.changed: [{unless: [{fun: test.true}, {fun: test.false}]}]}
d: {probe.changed: [{unless: [{fun: test.echo, args: ['x']}]}]}
e: {probe.changed: [{unless: [{fun: test.echo, args: ['']}]}]}
f: {probe.changed: [{unless: ['true', {fun: test.true}]}]}
g: {probe.changed: [{unless: 'test -e /nonexistent'}]}
h: {probe.changed: [{unless: 'test "$PWD" = /usr'}, {cwd: /usr}]}
i: {probe.changed: [{unless: 'test "$X" = 1'}, {env: [{X: '1'}]}]}
j: {probe.changed: [{unless: 'test "$PWD" = /usr'}, {cwd: /usr}, {cmd_opts_exclude: [cwd]}]}
k: {probe.changed: [{unless: 'echo a | grep -q b || true'}]}
