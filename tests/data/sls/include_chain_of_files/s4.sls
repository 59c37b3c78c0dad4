include: [s5]
id4: probe.nop
