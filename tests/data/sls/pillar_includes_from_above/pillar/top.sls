base: {'*': [app.deep.more]}
