conf: probe.changed
quiet: probe.nop
bad: probe.failed
a: {probe.nop: [{listen: [{probe: conf}, {probe: quiet}]}]}
b: {probe.nop: [{listen: [{probe: quiet}]}]}
c: {probe.changed: [{listen: [{probe: conf}]}]}
d: {probe.nop: [{listen: [{probe: bad}]}]}
e: {probe.failed: [{listen: [{probe: conf}]}]}
f:
  probe.nop:
    - names: [f1, f2]
    - listen:
      - probe: conf
