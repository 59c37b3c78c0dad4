a: {probe.nop: [{found: {{ pillar | json }}}]}
