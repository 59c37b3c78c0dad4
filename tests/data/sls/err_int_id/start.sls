1: 
  probe.nop: []
