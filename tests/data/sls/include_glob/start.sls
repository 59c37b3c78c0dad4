include:
  - app.*
  - lib.[ab]
  - x?z
a: probe.nop
