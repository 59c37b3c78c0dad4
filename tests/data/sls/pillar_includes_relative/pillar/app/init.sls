include:
  - .config
  - ..shared
app: 1
