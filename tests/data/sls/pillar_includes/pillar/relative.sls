relative: true
