#! jinja | yaml
a: {probe.nop: [{text: {{ 1 + 1 }}}]}
include: [old, spaced]
