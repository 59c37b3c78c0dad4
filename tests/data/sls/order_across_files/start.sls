include: [b, a]
s: probe.nop
