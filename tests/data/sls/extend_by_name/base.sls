web_package:
  probe.nop:
    - name: nginx
other: mark.nop
