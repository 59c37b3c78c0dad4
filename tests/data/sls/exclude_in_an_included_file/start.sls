include: [other]
a: probe.nop
b: probe.nop
