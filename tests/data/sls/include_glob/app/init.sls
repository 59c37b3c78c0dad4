i: probe.nop
