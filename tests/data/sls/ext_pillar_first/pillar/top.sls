base:
  '*': [data]
  'role:web': [{match: pillar}, web]
  'I@port:80': [compound]
