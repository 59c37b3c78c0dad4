a: nosuch.thing
b: probe.nosuch
c: {probe.nop: [{require: [{nosuch: a}]}]}
d: probe.nop
