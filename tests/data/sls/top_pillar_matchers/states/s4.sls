s4: probe.nop
