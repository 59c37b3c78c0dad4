l: probe.nop
