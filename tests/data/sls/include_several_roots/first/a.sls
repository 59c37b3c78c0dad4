a: {probe.nop: [{from: first}]}
