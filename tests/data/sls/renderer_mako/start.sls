#!mako|yaml
<%! import os %>
<%namespace name="parts" file="salt://lib/parts.mako"/>
<%def name="number(n)">${n * 2}</%def>
% for name in ('a', 'b'):
${name}:
  probe.nop:
    - os: ${grains['os']}
    - id: ${opts['id']}
    - echo: ${salt['test.echo']('hi')}
    - double: ${number(21)}
    - sls: ${sls}
    - env: ${saltenv}
    - path: ${slspath}|${tpldir}
    - pillar: ${pillar.get('nothing', 'none')}
    - base: ${os.path.basename('/x/y')}
% endfor
${parts.state('c', x=1, y='two')}
