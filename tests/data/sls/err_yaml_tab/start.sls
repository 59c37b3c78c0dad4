a:
	probe.nop: []
