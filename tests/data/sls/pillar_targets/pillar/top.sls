base:
  '*': [all]
  'nomatch*': [never]
  'm1,zz':
    - match: list
    - by_list
  'm[0-9]+':
    - match: pcre
    - by_pcre
  'os:Deb*':
    - match: grain
    - by_grain
  'os:^D':
    - match: grain_pcre
    - by_grain_pcre
  'G@os:Debian and not z*':
    - match: compound
    - by_compound
  'G@roles:web':
    - by_default_compound
  '192.0.2.0/24':
    - match: ipcidr
    - by_ipcidr
  mygroup:
    - match: nodegroup
    - by_nodegroup
