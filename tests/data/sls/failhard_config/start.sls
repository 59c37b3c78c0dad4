a: probe.nop
b: probe.failed
c: probe.nop
