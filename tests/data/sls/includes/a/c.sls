include: [start]
ac: probe.nop
