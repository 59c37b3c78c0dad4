a: {probe.nop: [{pillar: {{ pillar | json }}}]}
