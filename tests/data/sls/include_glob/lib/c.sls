lc: probe.nop
