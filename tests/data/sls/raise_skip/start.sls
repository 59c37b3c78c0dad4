skipper: probe.skipper
a: {probe.nop: [{onchanges: [{probe: skipper}]}]}
b: {probe.nop: [{watch: [{probe: skipper}]}]}
boom: probe.boom
odd: probe.odd
listcomment: probe.listcomment
