a1: probe.nop
a2: {probe.nop: [{order: 1}]}
