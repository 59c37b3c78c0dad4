{%- set tplroot = tpldir.split('/')[0] %}
{%- from tplroot ~ "/map.jinja" import ntp with context %}
include:
  - {{ tplroot }}.config

ntp-service:
  probe.nop:
    - name: {{ ntp.service.name }}
    - enable: {{ ntp.service.enable }}
    - watch:
      - probe: ntp-config
