g: probe.nop
