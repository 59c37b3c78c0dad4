hosts: probe.nop
