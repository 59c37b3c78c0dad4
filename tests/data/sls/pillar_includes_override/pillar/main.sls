include: [other]
k: main
d: {m: 1}
