extend: [a]
a: probe.nop
