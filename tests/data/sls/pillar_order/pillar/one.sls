who: one
