{% raw %}
a:
  probe.nop:
    - common: &common
        user: root
        mode: '0644'
    - list: &list [1, 2]
b:
  probe.nop:
    - merged:
        <<: *common
        mode: '0600'
    - several:
        <<: [*common, {group: wheel}]
        user: own
    - same: *list
{% endraw %}
