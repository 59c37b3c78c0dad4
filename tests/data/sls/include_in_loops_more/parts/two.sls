include: [parts.one]
two: {probe.nop: [{require: [{sls: parts.one}]}]}
