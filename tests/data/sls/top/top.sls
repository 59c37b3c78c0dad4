base:
  '*':
    - one
  'nomatch':
    - two
  'id:*':
    - match: grain
    - sub.*
