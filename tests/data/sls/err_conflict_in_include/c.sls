x: probe.changed
