a: {probe.nop: [{require: [nothere]}]}
