include: [gone, sub.x]
a: probe.nop
