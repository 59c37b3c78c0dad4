o1: probe.nop
o2: probe.nop
