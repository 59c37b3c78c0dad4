bad: probe.failed
a: {probe.nop: [{onfail: [{probe: bad}]}, {onfail_stop: false}]}
