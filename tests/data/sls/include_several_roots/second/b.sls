b: {probe.nop: [{from: second}]}
