{% import 'sub/lib.jinja' as lib %}
a:
  probe.nop:
    - saltenv: {{ saltenv }}
    - sls: {{ sls }}
    - slspath: {{ slspath }}
    - sls_path: {{ sls_path }}
    - slsdotpath: {{ slsdotpath }}
    - slscolonpath: {{ slscolonpath }}
    - tpldir: {{ tpldir }}
    - tplfile: {{ tplfile }}
    - tpldot: {{ tpldot }}
    - tplroot: {{ tpldir.split('/')[0] }}
    - opts: {{ opts.id }} {{ opts['file_client'] | default('x') | length > 0 }}
    - grains: {{ grains.os }} {{ grains['os_family'] }} {{ grains.get('nope', 'dflt') }}
    - pillar: {{ pillar.get('nope', 'dflt') }} {{ pillar | length }}
    - salt: {{ salt['test.echo']('x') }} {{ salt.test.echo('y') }} {{ salt['test.ping']() }}
    - lib: {{ lib.where }}
