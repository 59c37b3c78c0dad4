base:
  'm*':
    - all
    - subfilter:
        'G@os:Debian':
          - by_grain
        'G@os:Arch':
          - never
