o: probe.nop
