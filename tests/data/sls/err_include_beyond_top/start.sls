include: [..up]
a: probe.nop
