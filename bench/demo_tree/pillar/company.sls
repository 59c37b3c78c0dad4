company: the demo
