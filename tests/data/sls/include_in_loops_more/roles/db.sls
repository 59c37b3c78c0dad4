db: probe.nop
