extend:
  no-such-id:
    file:
      - mode: '0600'

{{ pillar.target }}/in:
  file.managed:
    - require_in:
      - file: no-such-file

plain: test.nop
