base: probe.nop
