repos: probe.nop
