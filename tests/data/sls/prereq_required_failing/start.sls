base: probe.failed
target: {probe.changed: [{require: [{probe: base}]}]}
guard: {probe.nop: [{prereq: [{probe: target}]}]}
