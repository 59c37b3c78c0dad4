conf: probe.changed
svc: {probe.nop: [{watch: [{probe: conf}]}]}
guard: {probe.nop: [{prereq: [{probe: svc}]}]}
