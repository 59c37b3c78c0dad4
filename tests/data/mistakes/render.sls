# 2: a name that does not exist
{{ pillar.target }}/a:
  file.managed:
    - mode: {{ no_such_name }}
