s11: probe.nop
