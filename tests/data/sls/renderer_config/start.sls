include: [j]
a: {probe.nop: [{text: '{{ x }}'}]}
