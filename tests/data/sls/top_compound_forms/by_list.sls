by_list: probe.nop
