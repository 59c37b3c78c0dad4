file: probe.nop
