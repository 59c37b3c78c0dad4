include: [blank, comment]
a: {probe.nop: [{require: [{sls: blank}]}]}
