base_q: probe.nop
