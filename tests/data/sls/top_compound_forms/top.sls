base:
  'E@m\d': [all]
  'L@m1,m2 and not G@os:Arch': [by_list]
  '( m1 or z* ) and G@os:Debian': [by_compound]
  'not m1': [never]
  'P@os:(Debian|Arch)': [by_grain_pcre]
  'S@192.0.2.0/24': [by_ipcidr]
  'm1 and not ( z1 or z2 )': [by_default]
