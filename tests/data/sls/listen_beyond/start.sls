conf: probe.changed
a: {probe.nop: [{listen: [{probe: 'con?'}]}]}
b: {mark.nop: [{listen: [{probe: conf}]}]}
