s1: probe.nop
