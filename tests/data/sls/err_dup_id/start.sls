a: probe.nop
b: probe.nop
a: probe.nop
