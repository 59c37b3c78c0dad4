dev_d: probe.nop
