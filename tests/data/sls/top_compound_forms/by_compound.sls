by_compound: probe.nop
