{% set roles = grains.roles %}
base:
  '*':
    - all
    {% for role in roles %}
    - role.{{ role }}
    {% endfor %}
