there: true
