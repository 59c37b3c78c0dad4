s7: probe.nop
