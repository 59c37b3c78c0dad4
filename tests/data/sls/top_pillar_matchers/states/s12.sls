s12: probe.nop
