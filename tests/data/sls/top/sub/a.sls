sa: probe.nop
