base-one: {probe.changed: [{level: base}, {list: [b]}, {kept: 1}]}
base-two: {probe.nop: [{name: second}]}
base-three: probe.nop
