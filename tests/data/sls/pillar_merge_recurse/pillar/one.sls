map: {a: 1, both: one}
list: [1, 2]
only: one
scalar: 1
mixed: {x: 1}
