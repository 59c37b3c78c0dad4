include: [a, b]
