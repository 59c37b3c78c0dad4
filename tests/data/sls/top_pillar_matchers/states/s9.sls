s9: probe.nop
