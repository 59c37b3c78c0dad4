#!jinja|yaml
j: {probe.nop: [{text: '{{ 1 + 1 }}'}]}
