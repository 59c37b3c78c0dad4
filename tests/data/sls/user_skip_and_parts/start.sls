skip: {tricks.skip_watch: []}
w: {probe.nop: [{watch: [{tricks: skip}]}]}
o: {probe.nop: [{onchanges: [{tricks: skip}]}]}
parts: {tricks.parts: []}
warned: {tricks.warned: []}
after: {probe.nop: [{require: [{tricks: parts}]}]}
none: {tricks.none: []}
text: {tricks.number_comment: []}
