by_default_compound: true
