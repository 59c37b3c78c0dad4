by_pillar: probe.nop
