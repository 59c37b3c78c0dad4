a: {probe.nop: [{helped: {{ salt['asks.help']() }}}]}
