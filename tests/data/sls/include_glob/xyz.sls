xyz: probe.nop
