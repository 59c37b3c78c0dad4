include: [app]
z: probe.nop
