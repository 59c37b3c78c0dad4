include: [one]
two: probe.nop
