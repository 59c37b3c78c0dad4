b: probe.nop
