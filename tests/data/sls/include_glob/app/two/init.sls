t: probe.nop
