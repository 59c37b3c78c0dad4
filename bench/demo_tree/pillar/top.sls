base:
  '*':
    - company
  'web*':
    - greeting
