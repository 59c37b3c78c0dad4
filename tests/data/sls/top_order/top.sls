base:
  'm*':
    - order: 2
    - all
  '*':
    - order: 1
    - by_list
  'm1':
    - by_pcre
