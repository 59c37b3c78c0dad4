include: [b, c]
c: probe.nop
