include: [s4]
id3: probe.nop
