ga: probe.nop
