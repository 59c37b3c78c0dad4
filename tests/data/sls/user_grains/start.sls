a:
  probe.nop:
    - role: {{ grains['custom_role'] }}
    - list: {{ grains.get('custom_list') }}
    - deep: {{ salt['grains.get']('custom_deep:a:b') }}
