s14: probe.nop
