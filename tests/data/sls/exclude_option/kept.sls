k: probe.nop
k2: probe.nop
