top: {probe.nop: [{require: [{probe: left}, {probe: right}]}]}
left: {probe.nop: [{require: [{probe: root}]}]}
right: {probe.failed: [{require: [{probe: root}]}]}
root: probe.changed
side: {probe.nop: [{onfail: [{probe: right}]}]}
after: {probe.nop: [{require: [{probe: side}, {probe: left}]}]}
