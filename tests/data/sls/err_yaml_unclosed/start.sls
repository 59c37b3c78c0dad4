a: {probe.nop: [
