a: {probe.nop: [{from: second}]}
