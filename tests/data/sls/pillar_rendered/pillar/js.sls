#!json
{"js": [1, 2]}
