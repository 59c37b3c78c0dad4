#!json
{"o": {"probe.nop": []}}
