{{ pillar.target }}/no-function:
  file:
    - contents: x

{{ pillar.target }}/two-functions:
  file:
    - managed
    - absent

{{ pillar.target }}/colon:
  file.managed:

{{ pillar.target }}/no-list:
  file.managed:
    contents: x

5:
  file.managed:
    - name: {{ pillar.target }}/number

{{ pillar.target }}/space:
  file:
    - managed contents
