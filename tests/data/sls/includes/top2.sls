t2: probe.nop
