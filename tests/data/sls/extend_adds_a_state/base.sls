a: probe.nop
