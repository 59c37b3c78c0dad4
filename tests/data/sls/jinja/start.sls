{%- from "map.jinja" import conf with context %}
{% set names = ['x', 'y'] %}
include:
{%- for n in names %}
  - inc.{{ n }}
{%- endfor %}
{% for n, v in conf.items() %}
{{ sls }}_{{ n }}:
  probe.nop:
    - flag: {{ v | yaml_encode }}
    - data: {{ {'a': 1, 'b': ['q', none]} | json }}
    - kept: {{ tpldir }} {{ slspath }} {{ slsdotpath }} {{ tplfile }}
{% endfor %}
{% macro st(id) -%}
{{ id }}:
  probe.nop: []
{%- endmacro %}
{{ st('one') }}
{{ st('two') }}
{% if grains.get('nope') is none %}
none_{{ salt['test.echo']('hi') }}: probe.nop
{% endif %}
{{ 'a b'|replace(' ', '-') }}: probe.nop
