{% set parts = {'users': true, 'hosts': false, 'repos': true} %}
include:
{% for part, wanted in parts.items() if wanted %}
  - parts.{{ part }}
{% else %}
  []
{% endfor %}
{% for n in range(3) %}
item{{ n }}:
  probe.nop:
    - number: {{ n }}
    {% if not loop.first %}
    - require:
      - probe: item{{ n - 1 }}
    {% endif %}
{% endfor %}
