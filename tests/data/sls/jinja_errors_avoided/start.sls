{% set x = none %}
a:
  probe.nop:
    - v1: {{ x or 'other' }}
    - v2: {{ (grains.nope | default({})).get('x', 'y') }}
    - v3: {{ 'x' in grains }} {{ 'os' in grains }}
    - v4: {{ grains.get('a', {}).get('b', 'c') }}
    - v5: {{ x is none }} {{ x is string }} {{ 5 is number }} {{ {} is mapping }} {{ [] is sequence }}
    - v6: {{ undefined_name is not defined }}
{% if salt['grains.get']('os') == 'Debian' and grains.osmajorrelease | int >= 12 %}
modern: probe.nop
{% elif grains.os in ('Ubuntu', 'Mint') %}
other: probe.nop
{% endif %}
