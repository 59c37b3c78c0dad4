a: {probe.nop: [{found: {{ pillar.one | json }}}]}
