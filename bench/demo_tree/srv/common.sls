{# every machine of the demo: a directory and a message of the day, made from a template #}
{% set home = opts['root_dir'] ~ '/srv' %}

{{ home }}:
  file.directory:
    - mode: '0755'

{{ home }}/motd:
  file.managed:
    - source: salt://motd.jinja
    - template: jinja
    - require:
      - file: {{ home }}
