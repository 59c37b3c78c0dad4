all: probe.nop
