who: two
