"""An execution module of a user."""

import os

import salt.utils.args
import salt.utils.files
import salt.utils.json
import salt.utils.path
import salt.utils.platform
import salt.utils.stringutils
import salt.utils.yaml
from salt.utils.odict import OrderedDict

__func_alias__ = {"list_": "list"}


def greet(name, punctuation="!"):
    """Greet."""
    return f"hello {name}{punctuation}"


def list_():
    return [greet("a"), __salt__["mymod.greet"]("b", punctuation="?")]


def yes():
    return _private()


def _private():
    return True


def facts():
    return {"os": __grains__["os"], "id": __opts__["id"], "pillar": __pillar__.get("x", "none")}


def helpers():
    with salt.utils.files.fopen(os.devnull) as file:
        text = file.read()
    return {
        "text": text,
        "yaml": salt.utils.yaml.safe_load("a: [1, 2]"),
        "dumped": salt.utils.yaml.safe_dump({"b": 1}, default_flow_style=False).strip(),
        "json": salt.utils.json.loads(salt.utils.json.dumps({"c": 1})),
        "linux": salt.utils.platform.is_linux(),
        "str": salt.utils.stringutils.to_str(b"bytes"),
        "clean": salt.utils.args.clean_kwargs(__pub_x=1, y=2),
        "join": salt.utils.path.join("/a", "b"),
        "odict": dict(OrderedDict([("z", 1), ("a", 2)])),
    }
