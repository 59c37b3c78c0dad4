a: {probe.nop: [{found: {{ pillar.secrets.one | json }}}, {deep: {{ pillar.secrets.deep | json }}}, {listed: {{ pillar.listed | json }}}]}
