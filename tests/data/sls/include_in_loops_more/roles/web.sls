{% for n in range(2) %}
web{{ n }}: probe.nop
{% endfor %}
