"""A module that has its helpers from `__utils__`."""


def show(text):
    return __utils__["naming.label"](text, times=2)


def known():
    return ["naming.label" in __utils__, "naming.nope" in __utils__]
