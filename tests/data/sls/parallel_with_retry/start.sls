a: {probe.failed: [{parallel: true}, {retry: {attempts: 2, interval: 0}}]}
b: {probe.changed: [{parallel: true}, {unless: 'false'}, {listen_in: [{probe: c}]}]}
c: {probe.nop: [{parallel: true}]}
d: {probe.changed: [{parallel: true}, {onlyif: 'false'}]}
e: {probe.changed: [{parallel: true}, {prereq: [{probe: f}]}]}
f: {probe.changed: [{parallel: true}]}
