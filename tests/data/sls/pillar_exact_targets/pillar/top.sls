{% set sites = {'ams': 'one', 'par': 'two'} %}
base:
  'N@mine': [one]
  'nested': [{match: nodegroup}, two]
  '( m1 or z1 ) and not G@os:RedHat': [{match: compound}, three]
  {% for site, name in sites | dictsort %}
  'datacenter:name:{{ site }}': [{match: grain}, sites.{{ name }}]
  {% endfor %}
  'm1 and not N@mine': [never]
  '*': [{order: 0}, first]
