include: [c, start]
b: probe.nop
