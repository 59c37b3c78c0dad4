"""A renderer of a user under another name, which makes data."""

__virtualname__ = "couples"


def __virtual__():
    return __virtualname__


def render(data, saltenv="base", sls="", **kwargs):
    text = data if isinstance(data, str) else data.read()
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition(" ")
            found[name] = {"probe.nop": [{"value": value}, {"sls": sls}, {"os": __grains__["os"]},
                                          {"echo": __salt__["test.echo"](saltenv)}]}
    return found
