env: dev
two: 2
