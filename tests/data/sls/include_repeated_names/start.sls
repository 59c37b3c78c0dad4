include: [one, one, two]
