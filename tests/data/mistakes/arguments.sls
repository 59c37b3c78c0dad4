{{ pillar.target }}/typo:
  file.managed:
    - contents: x
    - maekdirs: true

{{ pillar.target }}/type:
  file.directory:
    - makedirs: [1, 2]

environment:
  environ.setenv:
    - false_unsets: true
