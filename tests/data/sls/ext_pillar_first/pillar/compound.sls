compound: true
