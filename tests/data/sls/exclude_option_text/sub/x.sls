k: probe.nop
