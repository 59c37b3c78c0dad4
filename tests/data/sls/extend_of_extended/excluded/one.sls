excluded-one: probe.failed
include: [excluded.two]
