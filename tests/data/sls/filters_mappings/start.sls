{% set d = {'a': {'b': [1, {'c': 'deep'}]}, 'k': 'v'} %}
a:
  probe.nop:
    - v1: {{ d | traverse('a:b:1:c') }} {{ d | traverse('nope:x', 'dflt') }} {{ d | traverse('a/b/0', delimiter='/') }}
    - v2: {{ {'x': 1} | to_entries | json }} {{ [{'key': 'x', 'value': 1}] | from_entries | json }}
    - v3: {{ {'x': 1, 'y': 2} | compare_dicts({'x': 1, 'y': 3, 'z': 4}) | json }}
    - v4: {{ {} | set_dict_key_value('a:b:c', 1) | json }} {{ {'a': {'b': 1}} | update_dict_key_value('a', {'c': 2}) | json }}
    - v5: {{ {'l': [1]} | append_dict_key_value('l', 2) | json }} {{ {'l': [1]} | extend_dict_key_value('l', [2, 3]) | json }}
    - v6: {{ {'b': 1, 'a': 2} | dictsort }} {{ d.keys() | list }} {{ d.items() | list | length }}
    - v7: {{ d | json_query('a.b[0]') }} {{ [{'n': 1}, {'n': 2}] | json_query('[].n') }}
    - v8:
      {{ {'x': 1, 'y': {'z': 2}} | dict_to_sls_yaml_params | indent(6) }}
    - v9: {{ {'a': 1} | yaml }} {{ {'a': [1]} | json }}
    - v10: {{ {'a': 1} | python | json }} {{ {'a': 'x'} | tojson }}
    - v11: {{ ['Name  Age', 'x  1'] | length }}
    - v12: {{ {'root': {'a': '1', 'b': {'c': '2'}}} | xml | json }}
    - v13:
        {{ {'b': {'x': [1, 2]}, 'a': 1} | yaml(False) | indent(8) }}
