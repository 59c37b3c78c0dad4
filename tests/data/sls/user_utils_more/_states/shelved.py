"""A state of a user with a helper."""


def present(name, **kwargs):
    return {"name": name, "result": True, "changes": {}, "comment": __utils__["naming.label"](name)}
