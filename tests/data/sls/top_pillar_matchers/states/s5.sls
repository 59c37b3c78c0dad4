s5: probe.nop
