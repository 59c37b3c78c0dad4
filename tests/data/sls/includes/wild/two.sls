w2: probe.nop
