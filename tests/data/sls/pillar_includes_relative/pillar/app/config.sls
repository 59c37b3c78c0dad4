include: [.deep.more]
config: 1
