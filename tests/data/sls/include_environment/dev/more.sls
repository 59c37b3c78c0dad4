m: probe.nop
