{%- set tplroot = tpldir.split('/')[0] %}
{%- from tplroot ~ "/libtofs.jinja" import files_switch with context %}
app-conf:
  probe.nop:
    - name: /etc/app.conf
    - source: {{ files_switch(['app.conf', 'app.conf.jinja'], lookup='App conf', indent_width=6) }}
    - mode: '0644'
    - template: jinja
