{% set ns = namespace(total=0, names=[]) %}
{% for n in range(10) %}
{% if n == 7 %}{% break %}{% endif %}
{% if n is odd %}{% continue %}{% endif %}
{% set ns.total = ns.total + n %}
{% do ns.names.append('n' ~ n) %}
{% endfor %}
{% with x = 5, y = 6 %}
with: {probe.nop: [{sum: {{ x + y }}}]}
{% endwith %}
{% set a, b = 1, 2 %}
{% for key, group in [{'k': 'x', 'v': 1}, {'k': 'y', 'v': 2}, {'k': 'x', 'v': 3}] | groupby('k') %}
group_{{ key }}: {probe.nop: [{members: {{ group | map(attribute='v') | list }}}]}
{% endfor %}
{%- for item in [1, [2, [3]]] recursive %}
{%- if item is iterable %}{{ loop(item) }}{% else %}
deep_{{ item }}_{{ loop.depth }}: probe.nop
{%- endif %}
{%- endfor %}
loop:
  probe.nop:
    - total: {{ ns.total }}
    - names: {{ ns.names }}
    - tuple: [{{ a }}, {{ b }}]
    - cond: {{ 'yes' if ns.total > 5 else 'no' }}
    - test: {{ nosuch is defined }} {{ nosuch | default('fallback') }}
    - cycle: [{% for n in range(3) %}{{ loop.cycle('a', 'b') }}{{ ',' if not loop.last }}{% endfor %}]
    - math: [{{ 7 // 2 }}, {{ 2 ** 5 }}, {{ 7 % 3 }}, {{ 'a' ~ 1 }}]
    - slice: {{ [1, 2, 3, 4][1:3] }} {{ 'text'[::-1] }}
{% raw %}
    - raw: "{{ kept }}"
{% endraw %}
