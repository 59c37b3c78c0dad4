map: {b: 2, both: two}
list: [2, 3]
scalar: 2
mixed: text
