"""A state module that does not load."""


def __virtual__():
    return False, "because it says so"


def hello(name):
    return {"name": name, "changes": {}, "result": True, "comment": "hello"}
