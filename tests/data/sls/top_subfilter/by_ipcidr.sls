by_ipcidr: probe.nop
