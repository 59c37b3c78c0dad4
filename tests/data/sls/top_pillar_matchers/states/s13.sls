s13: probe.nop
