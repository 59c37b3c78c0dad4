c: probe.nop
