m1: probe.nop
