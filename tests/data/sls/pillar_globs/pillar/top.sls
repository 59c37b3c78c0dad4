base:
  '*':
    - 'apps.*'
