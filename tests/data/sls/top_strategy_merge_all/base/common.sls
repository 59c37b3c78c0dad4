base_common: probe.nop
