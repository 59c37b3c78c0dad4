include: [5]
a: probe.nop
