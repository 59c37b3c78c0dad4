#!jinja|toml
["a"]
"probe.nop" = [{text = "{{ 1 + 1 }}"}, {list = [1, 2, 3]}, {when = 1979-05-27}]

["b"]
[["b"."probe.nop"]]
deep = {x = {y = "z"}}
[["b"."probe.nop"]]
require = [{probe = "a"}]
