dev_other: probe.nop
