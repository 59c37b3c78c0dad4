#!jinja|json
{"{{ 'a' }}": {"probe.nop": [{"n": {{ [1, 2] | json }}}]}}
