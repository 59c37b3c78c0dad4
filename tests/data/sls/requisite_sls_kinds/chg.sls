c1: probe.changed
c2: probe.nop
