s10: probe.nop
