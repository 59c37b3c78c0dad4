"""The master: keys, sessions, jobs, files, and the socket of its clients."""
