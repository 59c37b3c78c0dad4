by_grain_pcre: true
