include: [base]
extend:
  a:
    probe:
      - use:
        - probe: b
