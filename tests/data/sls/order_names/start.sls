many: {probe.nop: [{names: [c, a, b]}, {order: 5}]}
five: {probe.nop: [{order: 5}]}
four: {probe.nop: [{order: 4}]}
lasts: {probe.nop: [{names: [y, x]}, {order: last}]}
