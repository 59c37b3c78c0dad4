excluded-two: probe.failed
exclude: [{id: base-three}]
