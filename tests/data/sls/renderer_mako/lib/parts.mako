<%def name="state(id, **arguments)">
${id}:
  probe.nop:
% for key, value in sorted(arguments.items()):
    - ${key}: ${value}
% endfor
</%def>
