include: [base]
extend:
  nginx:
    probe:
      - watch:
        - mark: conf
conf: mark.changed
