"""The minion: its daemon, its jobs and what they ask of the master."""
