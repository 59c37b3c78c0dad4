"""A state module under another name."""

__virtualname__ = "renamed"


def __virtual__():
    return __virtualname__


def hello(name):
    return {"name": name, "changes": {}, "result": True, "comment": f"hello {name}"}
