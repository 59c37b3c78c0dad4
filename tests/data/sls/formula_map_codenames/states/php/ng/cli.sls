{%- from "php/ng/map.jinja" import php with context %}
php-cli:
  probe.nop:
    - name: {{ php.pkgs.cli }}
    - pkgs: {{ php.pkgs.values() | list }}
    - version: {{ php.version | yaml_encode }}
    - repo: {{ php.repo }}
    - ini: {{ php.ini | json }}
