first: 1
wins: first
