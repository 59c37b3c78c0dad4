include: [c]
b: probe.nop
