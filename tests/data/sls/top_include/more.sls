base:
  'm*': [by_list]
