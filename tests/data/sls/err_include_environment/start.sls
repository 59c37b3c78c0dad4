include: [{nosuch: x}]
a: probe.nop
