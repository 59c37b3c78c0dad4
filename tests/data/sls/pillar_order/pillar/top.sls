base:
  'm*':
    - order: 2
    - one
  '*':
    - order: 1
    - two
  'm1':
    - three
