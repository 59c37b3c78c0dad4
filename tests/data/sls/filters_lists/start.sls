{% set a = [1, 2, 3, 3] %}
{% set b = [3, 4] %}
a:
  probe.nop:
    - v1: {{ a | unique }} {{ a | union(b) | sort }} {{ a | intersect(b) }} {{ a | difference(b) }} {{ a | symmetric_difference(b) }}
    - v2: {{ a | min }} {{ a | max }} {{ a | avg }} {{ a | sum }}
    - v3: {{ [1, [2, [3, [4]]]] | flatten }} {{ [1, [2, [3]]] | flatten(levels=1) }}
    - v4: {{ [1, 2, 3] | combinations(2) | list }} {{ [1, 2] | permutations | list }} {{ [1, 2] | product(['a', 'b']) | list }}
    - v5: {{ [1, 2] | combinations_with_replacement(2) | list }} {{ 'ABCD' | compress([1, 0, 1, 0]) | list }}
    - v6: {{ [1, 2] | zip(['a', 'b']) | list }} {{ [1, 2, 3] | zip_longest(['a'], fillvalue='-') | list }}
    - v7: {{ [1, 2, 4] | compare_lists([1, 2, 3]) | json }}
    - v8: {{ [true, false] | exactly_one_true }} {{ [true, true, 0] | exactly_n_true(2) }}
    - v9: {{ ['b', 'A', 'c'] | sorted_ignorecase }} {{ [1, 2] | is_sorted }}
    - v10: {{ 'x' | sequence }} {{ ['x'] | sequence }}
    - v11: {{ [3, 1, 2] | sort }} {{ [1, 2, 3] | first }} {{ [1, 2, 3] | last }} {{ [1, 2, 3] | length }} {{ [1, 2, 3] | reverse | list }}
    - v12: {{ [1, 2, 3, 4, 5] | batch(2) | list }} {{ [1, 2, 3] | slice(2) | list }} {{ ['a', 'b'] | join('-') }}
    - v13: {{ [{'n': 'a', 'on': true}, {'n': 'b', 'on': false}] | selectattr('on') | map(attribute='n') | list }} {{ [1, 2, 3] | reject('odd') | list }}
    - v14: {{ [1, 2, 3, 4] | random_sample(2, seed='x') | length }} {{ [1, 2] | random_shuffle(seed='x') | sort }}
    - v15: {{ ['a', 'b'] | map('upper') | list }} {{ ['1', '2'] | map('int') | sum }}
    - v16: {{ [1, none, 2] | flatten }} {{ [1, none] | flatten(preserve_nulls=True) }}
