#!never|yaml
a: probe.nop
