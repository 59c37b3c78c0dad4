who: three
