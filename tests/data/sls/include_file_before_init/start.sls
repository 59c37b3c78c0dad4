include: [both, only]
a: probe.nop
