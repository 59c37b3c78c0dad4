base:
  '*':
    - 'app.*'
    - all
