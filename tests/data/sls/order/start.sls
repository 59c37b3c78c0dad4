z1: {probe.nop: [{order: 3}]}
z2: {probe.nop: [{order: last}]}
z3: {probe.nop: [{order: first}]}
z4: {probe.nop: [{order: -1}]}
z5: {probe.nop: [{order: -5}]}
z6: {probe.nop: []}
z7: {probe.nop: [{order: 20000}]}
z8: {probe.nop: [{names: [n3, n1, n2]}]}
