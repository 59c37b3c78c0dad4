include: [nothere]
a: probe.nop
