"""A state module with a mod_run_check of its own for every state."""


def mod_run_check(*args, **kwargs):
    return True


def run(name, onlyif=None, unless=None, **kwargs):
    return {"name": name, "changes": {}, "result": True, "comment": f"{onlyif} {unless}"}
