base:
  '*':
    - 'apps.*'
    - 'nothing.*'
