"""States with unusual returns."""


def skip_watch(name):
    return {"name": name, "changes": {"x": 1}, "result": True, "comment": "", "skip_watch": True}


def parts(name):
    part = {
        "low": {"name": "part", "state": "tricks", "__id__": "part_of_it", "fun": "parts"},
        "name": "part",
        "changes": {"p": 1},
        "result": True,
        "comment": "a part",
        "duration": 1.0,
        "start_time": "00:00:00.000000",
    }
    return {"name": name, "changes": {}, "result": True, "comment": "whole", "sub_state_run": [part]}


def warned(name):
    return {"name": name, "changes": {}, "result": True, "comment": "", "warnings": ["beware"]}


def none(name):
    return {"name": name, "changes": {}, "result": None, "comment": "would"}


def number_comment(name):
    return {"name": name, "changes": {}, "result": True, "comment": 5}
