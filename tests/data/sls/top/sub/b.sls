sb: probe.nop
