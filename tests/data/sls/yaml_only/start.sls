#!yaml
a:
  probe.nop:
    - braces: "{{ not jinja }}"
    - mode: 0755
