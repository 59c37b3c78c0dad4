plain:
  test.nop:
    - name: again
