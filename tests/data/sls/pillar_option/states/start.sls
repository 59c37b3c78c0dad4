a: {probe.nop: [{own: {{ pillar.own }}}, {deep: {{ pillar.deep | json }}}, {got: {{ salt['pillar.get']('deep:b') }}}]}
