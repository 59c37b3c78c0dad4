{% from './local.jinja' import x %}
{% from '../up.jinja' import y %}
{% from 'app/abs.jinja' import z %}
{% import_yaml 'app/web/data.yaml' as data %}
a: {probe.nop: [{x: {{ x }}}, {y: {{ y }}}, {z: {{ z }}}, {data: {{ data }}}]}
