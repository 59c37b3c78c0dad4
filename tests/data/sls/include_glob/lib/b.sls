lb: probe.nop
