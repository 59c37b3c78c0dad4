"""States that show in their changes what they were given."""


def given(name, value=None):
    if __opts__["test"]:
        return {"name": name, "result": None, "changes": {"value": value}, "comment": "would"}
    return {"name": name, "result": True, "changes": {"value": value}, "comment": "given"}
