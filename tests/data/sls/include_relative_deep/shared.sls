shared: probe.nop
