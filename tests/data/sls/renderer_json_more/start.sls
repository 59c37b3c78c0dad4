#!jinja|json
{"include": ["other"],
 "a": {"probe.nop": [{"number": {{ 20 + 1 }}}, {"deep": {"list": [1, null, true, 1.5, "\u00e9"]}}]},
 "b": {"probe": ["changed", {"require": [{"probe": "a"}]}]},
 "extend": {"o": {"probe": [{"more": {{ grains.roles | json }}}]}}}
