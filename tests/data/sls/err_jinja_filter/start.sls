a: {probe.nop: [{x: {{ 'a' | nosuchfilter }}}]}
