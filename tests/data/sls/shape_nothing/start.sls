# only a comment
{# and another #}
{% if false %}
a: probe.nop
{% endif %}
