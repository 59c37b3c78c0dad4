a: {probe.nop: [{require_in: [{probe: zz}]}]}
