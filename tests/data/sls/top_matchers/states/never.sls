never: probe.nop
