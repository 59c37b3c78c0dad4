{%- set tplroot = tpldir.split('/')[0] %}
{%- set sls_package = tplroot ~ '.package' %}
{%- from tplroot ~ "/map.jinja" import ntp with context %}

include:
  - {{ sls_package }}

ntp-config:
  probe.changed:
    - name: {{ ntp.config }}
    - context:
        ntp: {{ ntp | json }}
    - require:
      - sls: {{ sls_package }}
