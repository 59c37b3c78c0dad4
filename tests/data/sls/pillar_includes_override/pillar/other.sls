k: other
d: {o: 1}
