bad: probe.failed
guard: {probe.nop: [{prereq: [{probe: bad}]}]}
after: {probe.nop: [{require: [{probe: guard}]}]}
