by_grain_pcre: probe.nop
