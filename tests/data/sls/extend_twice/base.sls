base: {probe.nop: [{flag: base}]}
m: mark.nop
n: mark.nop
