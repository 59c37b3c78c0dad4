s15: probe.nop
