include:
  - more
base:
  '*': [all]
