include: [b, c]
