a:
  probe.nop:
    - v1: {{ [] is list }} {{ 'x' is list }} {{ 'abc' is match('a.') }} {{ 'abc' is match('B', ignorecase=true) }} {{ 5 is equalto 5 }}
    - v2: {{ 'a' is in ['a'] }} {{ none is none }} {{ 4 is even }} {{ 6 is divisibleby 3 }} {{ 'x' is lower }} {{ true is sameas true }}
    - v3: {{ ['abc', 'xyz'] | select('match', '^a') | list }} {{ [{'n': 'abc'}] | selectattr('n', 'match', 'a.*') | list | length }}
