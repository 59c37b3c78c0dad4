a:
  probe.nop:
    - map:
        1: one
        1.5: float
        true: truth
        null: nothing
        yes2: text
        "8": text
        ? complex
        : value
    - flow: {a: 1, 'b': [x, {c: d}], "e f": g}
    - {inline: yes}
