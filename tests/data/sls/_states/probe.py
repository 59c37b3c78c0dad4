"""States that do what they are told, for comparing runs."""


def _ret(name, result=True, changes=None, comment="did"):
    if __opts__["test"] and changes:  # noqa: F821 (the loader puts it there)
        return {"name": name, "result": None, "changes": changes, "comment": "would"}
    return {"name": name, "result": result, "changes": changes or {}, "comment": comment}


def nop(name, **kwargs):
    return _ret(name)


def changed(name, **kwargs):
    return _ret(name, changes={"x": name})


def failed(name, **kwargs):
    return _ret(name, result=False, comment="failed")


def skipper(name, **kwargs):
    return {**_ret(name, changes={"x": 1}), "skip_req": True}


def boom(name, **kwargs):
    raise ValueError("boom")


def odd(name, **kwargs):
    return "not a dict"


def listcomment(name, **kwargs):
    return {"name": name, "result": 1, "changes": {}, "comment": ["a", "b"]}


def mod_watch(name, sfun=None, **kwargs):
    return _ret(name, changes={"watched": sfun})
