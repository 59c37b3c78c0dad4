{%- set tplroot = tpldir.split('/')[0] %}
{%- from tplroot ~ "/libtofs.jinja" import files_switch with context %}
{%- for number, names in {1: ['main.conf'], 2: ['/abs.conf', 'rel/two.conf']} | dictsort %}
app-config-{{ number }}:
  probe.nop:
    - source: {{ files_switch(names, lookup='App main' if number == 1 else none, indent_width=8) }}
    - again: {{ files_switch(names, default_files_switch=['os'], indent_width=8) }}
{%- endfor %}
