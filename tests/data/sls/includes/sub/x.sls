sx: probe.nop
