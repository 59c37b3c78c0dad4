inc_{{ slspath }}: probe.nop
