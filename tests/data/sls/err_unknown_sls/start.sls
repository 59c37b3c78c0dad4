a: {probe.nop: [{require: [{sls: nothere}]}]}
