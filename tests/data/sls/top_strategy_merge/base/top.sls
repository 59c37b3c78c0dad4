base: {'*': [common]}
qa: {'*': [q]}
