q: probe.nop
