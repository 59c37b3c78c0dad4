include: [b]
a: probe.nop
