two: probe.nop
