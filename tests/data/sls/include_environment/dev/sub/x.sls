x: probe.nop
