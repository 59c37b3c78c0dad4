db: {probe.nop: [{require: [{probe: web}]}]}
