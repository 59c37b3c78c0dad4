a: probe
