{{ pillar.target }}/unknown:
  file.managed:
    - require:
      - file: {{ pillar.target }}/would-be-maed

{{ pillar.target }}/dotted:
  file.managed:
    - require:
      - file.managed: {{ pillar.target }}/would-be-made

{{ pillar.target }}/no-list-of-references:
  file.managed:
    - watch:
        file: {{ pillar.target }}/would-be-made

{{ pillar.target }}/unknown-sls:
  file.managed:
    - require:
      - sls: argumnets

first:
  test.nop:
    - require:
      - test: second

second:
  test.nop:
    - require:
      - test: first
