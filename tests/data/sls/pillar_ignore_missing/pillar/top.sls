base:
  '*':
    - ignore_missing: true
    - nothere
    - there
