a: {probe.nop: [{show: {{ salt['shelf.show']('x') }}}, {known: {{ salt['shelf.known']() }}}]}
b: {shelved.present: [{name: c}]}
d: {probe.nop: [{shelf: {{ grains.shelf.names | join('+') }}}, {size: {{ salt['grains.get']('shelf:size') }}}]}
