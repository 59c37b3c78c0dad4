a: {probe.nop: [{check_cmd: ['true', 'true']}]}
b: {probe.nop: [{check_cmd: ['true', 'false']}]}
c: {probe.failed: [{check_cmd: 'true'}]}
d: {probe.nop: [{require: [{probe: b}]}]}
