a: {probe.nop: [{flag: 1}]}
b: {probe.nop: [{flag: 2}, {other: 3}]}
