hello: {cmd.run: [{name: echo hello}]}
fails: {cmd.run: [{name: 'echo out; echo err >&2; exit 3'}]}
expected: {cmd.run: [{name: exit 3}, {success_retcodes: [3]}]}
stateful: {cmd.run: [{name: 'echo; echo changed=yes comment=done'}, {stateful: true}]}
waits: {cmd.wait: [{name: echo waited}, {watch: [{cmd: hello}]}]}
idle: {cmd.wait: [{name: echo idle}]}
cwd: {cmd.run: [{name: pwd}, {cwd: /usr}]}
env: {cmd.run: [{name: 'echo $A $B'}, {env: [{A: one}, {B: two}]}]}
script: {cmd.script: [{source: 'salt://files/script.sh'}, {args: 'a b'}]}
onlychanges: {cmd.run: [{name: echo x}, {onchanges: [{cmd: hello}]}]}
