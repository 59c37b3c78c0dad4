only: probe.nop
