base_other: probe.nop
