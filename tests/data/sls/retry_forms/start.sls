a: {probe.nop: [{retry: true}]}
b: {probe.failed: [{retry: {attempts: 2, interval: 0, splay: 0}}]}
c: {probe.nop: [{retry: {attempts: 2, interval: 0, until: false}}]}
d: {probe.changed: [{retry: {attempts: 5}}]}
f: {probe.failed: [{retry: {attempts: 1, interval: 0}}]}
