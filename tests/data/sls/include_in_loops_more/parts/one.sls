one: probe.nop
