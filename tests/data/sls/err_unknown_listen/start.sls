a: {probe.nop: [{listen: [{probe: zz}]}]}
