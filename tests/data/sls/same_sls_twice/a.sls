include: [c]
a: probe.nop
