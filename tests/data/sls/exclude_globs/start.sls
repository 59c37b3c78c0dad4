include: [lib.one, lib.two, libs]
exclude: ['lib.*', {id: y}]
x: probe.nop
y: probe.nop
