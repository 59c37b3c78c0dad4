include: [s2]
id1: probe.nop
