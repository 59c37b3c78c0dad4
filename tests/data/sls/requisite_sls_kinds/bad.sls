b1: probe.failed
b2: probe.nop
