#!nosuch
a: probe.nop
