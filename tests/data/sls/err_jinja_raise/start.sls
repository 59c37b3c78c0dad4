{{ raise('no') }}
a: probe.nop
