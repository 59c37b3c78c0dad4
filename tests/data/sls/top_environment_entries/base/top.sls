base:
  '*':
    - one
    - dev: d
    - nosuch: x
