site: two
