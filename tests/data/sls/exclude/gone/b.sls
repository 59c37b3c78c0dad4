gb: probe.nop
