a: {probe.nop: [{names: x}]}
