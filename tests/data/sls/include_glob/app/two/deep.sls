d: probe.nop
