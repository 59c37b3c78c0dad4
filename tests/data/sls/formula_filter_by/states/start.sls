{% set simple = salt['grains.filter_by']({'Debian': {'pkg': 'apache2'}, 'RedHat': {'pkg': 'httpd'}}) %}
{% set merged = salt['grains.filter_by']({
    'base': {'port': 80, 'deep': {'a': 1}},
    'Debian': {'pkg': 'apache2'},
    'default': {'pkg': 'none'},
  }, grain='os_family', merge=salt['pillar.get']('apache:lookup'), base='base') %}
{% set fallback = salt['grains.filter_by']({'default': {'x': 1}, 'Arch': {'x': 2}}, grain='os', default='default') %}
{% set nothing = salt['grains.filter_by']({'Arch': {'x': 2}}, default='zz') %}
{% set globbed = salt['grains.filter_by']({'Deb*': {'x': 'glob'}}, grain='osfinger') %}
{% set listed = salt['grains.filter_by']({'web': {'x': 'web'}, 'db': {'x': 'db'}}, grain='roles') %}
{% set by_pillar = salt['pillar.filter_by']({'8080': {'x': 'high'}, 'default': {'x': 'low'}}, pillar='apache:lookup:port', default='default') %}
{% set by_match = salt['match.filter_by']({'m*': {'x': 'me'}, 'z*': {'x': 'not me'}}) %}
a:
  probe.nop:
    - simple: {{ simple }}
    - merged: {{ merged | json }}
    - fallback: {{ fallback }}
    - nothing: {{ nothing }}
    - globbed: {{ globbed }}
    - listed: {{ listed }}
    - by_pillar: {{ by_pillar }}
    - by_match: {{ by_match }}
