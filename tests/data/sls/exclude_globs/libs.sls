libs: probe.nop
