s2: probe.nop
