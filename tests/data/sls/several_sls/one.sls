include: [two.sub]
a: probe.nop
