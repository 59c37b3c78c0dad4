a: {probe.nop: [{retry: false}]}
