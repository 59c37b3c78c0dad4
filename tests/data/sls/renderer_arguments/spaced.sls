#!jinja  |yaml
spaced: {probe.nop: [{text: {{ sls }}}]}
