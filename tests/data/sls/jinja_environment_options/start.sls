%% for n in ['x', 'y']
  {% if true %}
{{ n }}: probe.nop
  {% endif %}
%% endfor
