{% if true %}
a: probe.nop
