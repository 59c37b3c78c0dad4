a:
  probe.nop:
    - literal: |
        one
          two

        three
    - keep: |+
        one

    - strip: |-
        one

    - folded: >
        one
        two

        three
    - indented: |2
          two more
    - plain: one
        two
    - quoted: "one
        two"
