greeting: Hello from ctl
