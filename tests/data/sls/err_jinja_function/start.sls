a: {probe.nop: [{x: {{ salt['nosuch.fun']() }}}]}
