#!jinja|shout !|yaml
include: [couples, wrapped]
a:
  probe.nop:
    - text: => {{ grains.os }}
