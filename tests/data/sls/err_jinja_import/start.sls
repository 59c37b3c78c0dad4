{% from 'nothere.jinja' import x %}
a: probe.nop
