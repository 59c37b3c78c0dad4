"""Grains of a user."""


def roles():
    return {"custom_role": "builder", "custom_list": [1, 2]}


def deep():
    return {"custom_deep": {"a": {"b": "found"}}}


def _not_a_grain():
    return {"hidden": True}
