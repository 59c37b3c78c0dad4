#!py
run = lambda: {'sibling': {'probe.nop': [{'sls': __sls__}]}}
