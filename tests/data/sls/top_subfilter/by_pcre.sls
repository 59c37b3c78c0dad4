by_pcre: probe.nop
