include: [..config]
more: 1
