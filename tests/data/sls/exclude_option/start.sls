include: [gone, kept]
a: probe.nop
