a: {probe.nop: [{about: {{ pillar.about | json }}}, {tree: {{ pillar.tree | json }}}]}
