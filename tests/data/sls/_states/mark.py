"""States without mod_watch."""


def nop(name, **kwargs):
    return {"name": name, "result": True, "changes": {}, "comment": "mark"}


def changed(name, **kwargs):
    return {"name": name, "result": True, "changes": {"m": 1}, "comment": "mark"}
