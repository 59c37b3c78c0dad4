{% import_yaml 'data.yaml' as y %}
{% import_json 'data.json' as j %}
{% import_text 'data.txt' as t %}
{% load_yaml as ly %}
list: [1, 2]
map: {a: {{ 1 + 1 }}}
{% endload %}
{% load_json as lj %}
{"x": [true, null, 1.5]}
{% endload %}
{% load_text as lt %}
some {{ 'text' }}
{% endload %}
{% set filtered = 'k: [v]' | load_yaml %}
{% set fj = '{"k": 1}' | load_json %}
{% set block %}
set block {{ y.name }}
{% endset %}
{% profile as 'timing' %}
a:
  probe.nop:
    - y: {{ y }}
    - j: {{ j }}
    - t: {{ t | json }}
    - ly: {{ ly }}
    - lj: {{ lj }}
    - lt: {{ lt | json }}
    - filtered: {{ filtered }}
    - fj: {{ fj }}
    - block: {{ block | trim }}
{% endprofile %}
