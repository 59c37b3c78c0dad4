{%- import_yaml 'web/settings.yaml' as settings %}
{%- import_json 'web/more.json' as more %}
{%- import_text 'web/motd.txt' as motd %}
{%- set lookup = salt['pillar.get']('web:lookup', {}) %}
a:
  probe.nop:
    - based: {{ salt['grains.filter_by'](settings, grain='os', base='base', merge=lookup) | json }}
    - by_pillar: {{ salt['grains.filter_by'](settings, grain=pillar.web.grain, base='base') | json }}
    - roles: {{ salt['grains.filter_by'](settings, grain='roles') | json }}
    - default: {{ salt['grains.filter_by'](settings, grain='nothing', default='RedHat', base='base') | json }}
    - none: {{ salt['grains.filter_by'](settings, grain='nothing', default='nope') | json }}
    - deep: {{ salt['grains.filter_by']({'ams': {'a': 1}}, grain='datacenter:name', merge={'b': more}) | json }}
    - pillar: {{ salt['pillar.filter_by']({'os': {'found': 1}}, pillar='web:grain') | json }}
    - motd: {{ motd | json }}
b: {probe.nop: [{settings: {{ settings | json }}}]}
