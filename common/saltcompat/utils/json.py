"""`salt.utils.json`: the standard library's."""

from json import dump, dumps, load, loads

__all__ = ["dump", "dumps", "load", "loads"]
