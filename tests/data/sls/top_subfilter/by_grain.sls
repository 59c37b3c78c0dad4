by_grain: probe.nop
