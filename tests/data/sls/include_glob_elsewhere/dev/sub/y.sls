y: probe.nop
