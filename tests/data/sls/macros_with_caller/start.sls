{%- macro wrap(name, kind='nop') -%}
{{ name }}:
  probe.{{ kind }}:
    - before: {{ caller('first', 1) | trim }}
    - after: {{ caller('second') | trim }}
{%- endmacro %}
{%- macro each(items) %}
{%- for item in items %}
{{ caller(item, loop.index) }}
{%- endfor %}
{%- endmacro %}
{% call(word, number=0) wrap('a') %}{{ word }}-{{ number }}{% endcall %}
{% call(word, number=0) wrap('b', kind='changed') %}{{ [word, number] | json }}{% endcall %}
{%- call(item, index) each(grains.roles) %}
role-{{ item }}:
  probe.nop:
    - index: {{ index }}
    {%- filter indent(4) %}
{% call(inner, i) each(['x', 'y']) %}- {{ inner }}: {{ i }}{{ item }}{% endcall %}
    {%- endfilter %}
{%- endcall %}
{%- import 'lib.jinja' as lib %}
{%- call lib.block('d') %}
    - deep: {{ lib.value('z') }}
{%- endcall %}
