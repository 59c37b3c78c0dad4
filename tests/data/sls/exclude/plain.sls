pl: probe.nop
