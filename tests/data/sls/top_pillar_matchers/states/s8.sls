s8: probe.nop
