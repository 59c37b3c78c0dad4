#!json
{"a": {"probe.nop": [{"flag": true}, {"none": null}, {"list": [1, 2.5, "x"]}]}, "b": "probe.nop"}
