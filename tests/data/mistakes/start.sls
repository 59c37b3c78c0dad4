# Twenty mistakes in eight files: one run must name every one of them, with file and line, and change nothing.
include:
  - render
  - syntax
  - shapes
  - requisites
  - arguments
  - extending
  - twice
  - shaeps

{{ pillar.target }}/would-be-made:
  file.managed:
    - contents: never written
