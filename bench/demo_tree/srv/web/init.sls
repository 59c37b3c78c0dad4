{% set home = opts['root_dir'] ~ '/srv' %}

include:
  - common

web-root:
  file.managed:
    - name: {{ home }}/www/index.html
    - makedirs: True
    - contents: |
        <h1>{{ pillar['greeting'] }}</h1>

reload-web:
  cmd.run:
    - name: date >> {{ home }}/reloads
    - onchanges:
      - file: web-root
