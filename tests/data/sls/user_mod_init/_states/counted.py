"""A state module with mod_init."""


def mod_init(low):
    __context__["counted"] = __context__.get("counted", 0) + 1
    return True


def run(name, **kwargs):
    return {"name": name, "changes": {}, "result": True, "comment": f"initialised {__context__.get('counted')}"}


other = run
