two: 2
wins: two
