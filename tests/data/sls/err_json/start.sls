#!json
{"a": }
