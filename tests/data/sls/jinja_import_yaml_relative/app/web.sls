{% import_yaml './data.yaml' as data %}
a: {probe.nop: [{data: {{ data }}}]}
