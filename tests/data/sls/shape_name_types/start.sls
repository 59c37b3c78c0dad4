number: {probe.nop: [{name: 5}]}
nothing: {probe.nop: [{name: null}]}
truth: {probe.nop: [{name: true}]}
listed: {probe.nop: [{name: [a, b]}]}
empty: {probe.nop: [{name: ''}]}
spaces: {probe.nop: [{name: '  padded  '}]}
