{%- set parts = ['one', 'two', 'one'] %}
include:
{%- for part in parts %}
  - parts.{{ part }}
{%- endfor %}
{%- for role in grains.roles if role != 'db' %}
  - roles.{{ role }}
{%- endfor %}
{%- if 'parts.three' in salt['cp.list_states']() %}
  - parts.three
{%- endif %}

{%- for part in parts | unique %}
use-{{ part }}:
  probe.nop:
    - require: [{sls: parts.{{ part }}}]
{%- include 'snippet.jinja' %}
{%- endfor %}
