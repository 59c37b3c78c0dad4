#!yaml_jinja
old: {probe.nop: [{text: '{{ 2 + 2 }}'}]}
