more: {probe.nop: [{require_in: [{probe: dev_dev}]}]}
