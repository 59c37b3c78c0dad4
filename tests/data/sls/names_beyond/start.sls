many: {probe.nop: [{names: [80, 1.5, true]}]}
over: {probe.nop: [{names: [{three: {flag: mapping}}]}]}
