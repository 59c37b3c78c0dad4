w1: probe.nop
