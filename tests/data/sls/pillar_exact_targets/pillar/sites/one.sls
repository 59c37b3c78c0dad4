site: one
