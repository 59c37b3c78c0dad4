la: probe.nop
