users:
  alice: {uid: 1001, groups: [wheel, dev]}
  bob: {uid: 1002, state: absent}
