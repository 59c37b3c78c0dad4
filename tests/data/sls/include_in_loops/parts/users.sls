users: probe.nop
