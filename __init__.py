"""ctl: run commands on machines and keep them in a described state, over a signed, encrypted bus."""

__version__ = "0.1.0"
