"""An execution module under another name."""


def __virtual__():
    return "othername"


def hello():
    return "hello from othername"
