by_group: probe.nop
