{%- from "php/ng/map.jinja" import php with context %}
include:
  - php.ng.cli
{%- for pool in php.fpm.pools %}
php-pool-{{ pool.name }}:
  probe.changed:
    - port: {{ pool.port }}
    - require: [{probe: php-cli}]
    - watch_in: [{probe: php-service}]
{%- endfor %}
php-service: {probe.nop: [{name: {{ php.service }}}]}
