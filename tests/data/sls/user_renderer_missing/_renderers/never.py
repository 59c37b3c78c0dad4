"""A renderer that does not want to be here."""


def __virtual__():
    return False, "not on this machine"


def render(data, saltenv="base", sls="", **kwargs):
    return {}
