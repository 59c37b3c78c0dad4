one: 1
wins: one
