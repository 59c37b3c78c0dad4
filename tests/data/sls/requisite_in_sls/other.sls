o1: probe.nop
o2: mark.nop
