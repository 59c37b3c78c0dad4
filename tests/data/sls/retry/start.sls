a: {probe.failed: [{retry: {attempts: 3, interval: 0}}]}
b: {probe.nop: [{retry: {attempts: 3, interval: 0}}]}
