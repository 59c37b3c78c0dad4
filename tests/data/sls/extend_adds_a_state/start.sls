include: [base]
extend:
  a:
    mark.nop:
      - flag: 1
