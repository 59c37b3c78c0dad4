{%- import 'lib.jinja' as lib with context %}
{%- from 'lib.jinja' import state as st, counter %}
{%- macro local(name, flag=none) %}
{{ name }}:
  probe.nop:
    - flag: {{ flag }}
    - args: {{ varargs | list }}
    - kwargs: {{ kwargs | dictsort }}
    {%- if caller %}
{{ caller() | indent(4, true) }}
    {%- endif %}
{%- endmacro %}
{{ lib.state('a', {'x': 1}) }}
{{ st('b', {'y': [1, 2]}) }}
{{ local('c', 'given', 1, 2, extra='e') }}
{% call local('d') %}
- from_caller: {{ sls }}
{% endcall %}
{% for i in range(counter) %}
{{ local('loop' ~ i, loop.index) }}
{% endfor %}
