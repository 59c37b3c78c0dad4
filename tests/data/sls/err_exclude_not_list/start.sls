exclude: a
a: probe.nop
