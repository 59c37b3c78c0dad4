a: {probe.nop: [{require: [{probe: 'x*'}]}]}
