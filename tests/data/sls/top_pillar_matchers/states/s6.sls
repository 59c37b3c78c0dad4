s6: probe.nop
