include: [.two]
three: probe.changed
