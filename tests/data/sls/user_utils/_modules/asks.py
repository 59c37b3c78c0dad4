"""A module that asks a helper."""


def help():
    return __utils__["helping.double"](21)
