{%- set tplroot = tpldir.split('/')[0] %}
{%- from tplroot ~ "/map.jinja" import ntp with context %}

ntp-package-installed:
  probe.nop:
    - name: {{ ntp.package.name }}
    {%- if ntp.package.version %}
    - version: {{ ntp.package.version }}
    {%- endif %}
