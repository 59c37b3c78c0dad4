init: probe.nop
