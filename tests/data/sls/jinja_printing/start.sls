a:
  probe.nop:
    - none: {{ none }}
    - truth: {{ true }} {{ false }}
    - bool: {{ true }}
    - dict: {{ {'a': 1, 'b': none, 'c': [true, 'x y', 1.5]} }}
    - list: {{ ['a', 'b: c', "it's", 'say "x"'] }}
    - tuple: {{ (1, 'a') | list }}
    - nested: {{ {'k': {'l': ['m', {'n': 'o'}]}} }}
    - newline: {{ {'text': 'two\nlines'} }}
    - unicode: {{ 'größe' }} {{ ['größe'] }}
    - empty: {{ {} }} {{ [] }}
    - odict: {{ odict([('z', 1), ('a', 2)]) }}
    - number: {{ 1e3 }} {{ 10 / 4 }} {{ 0.1 + 0.2 }}
    - backslash: {{ ['a\\b'] }}
    - colon: {{ {'a: b': 'c#d'} }}
