"""Grains of a user, one of which looks at others."""


def plain():
    return {"shelf": {"size": 3, "names": ["a", "b"]}}


def looking(grains=None):
    return {"shelf_os": (grains or {}).get("kernel", "none")}
