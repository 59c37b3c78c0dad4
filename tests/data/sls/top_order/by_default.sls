by_default: probe.nop
