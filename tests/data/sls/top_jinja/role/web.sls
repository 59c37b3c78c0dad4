web: probe.nop
