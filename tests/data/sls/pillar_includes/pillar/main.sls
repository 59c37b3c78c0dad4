include:
  - plain
  - keyed:
      key: under:deep
      defaults: {color: blue}
  - sub.*
  - .relative
own: {main: 1, plain: main}
