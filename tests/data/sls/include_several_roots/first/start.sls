include: [a, b]
s: probe.nop
