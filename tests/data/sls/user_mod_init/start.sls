a: counted.run
b: counted.run
c: {counted.other: [{require: [{counted: a}]}]}
