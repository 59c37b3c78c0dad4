include: base
a: probe.nop
