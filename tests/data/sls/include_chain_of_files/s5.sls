id5: probe.nop
