{% for name, user in salt['pillar.get']('users', {}).items() %}
{% if user.get('state', 'present') == 'present' %}
user_{{ name }}:
  probe.nop:
    - name: {{ name }}
    - uid: {{ user.uid }}
    {% if 'groups' in user %}
    - groups: {{ user.groups }}
    {% endif %}
    - require:
      - probe: groups_done
{% else %}
gone_{{ name }}: {mark.nop: [{name: {{ name }}}]}
{% endif %}
{% endfor %}
groups_done: probe.nop
