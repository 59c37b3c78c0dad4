"""A state module that uses every name that it is given."""

import logging

import salt.utils.data
import salt.utils.dictupdate
from salt.exceptions import CommandExecutionError, SaltInvocationError

log = logging.getLogger(__name__)

__func_alias__ = {"list_": "listed"}


def __virtual__():
    return "custom" if "test.echo" in __salt__ else (False, "no test module")


def everything(name, x=0, **kwargs):
    ret = {"name": name, "changes": {}, "result": True, "comment": ""}
    ret["changes"] = {
        "salt": __salt__["test.echo"]("hi"),
        "grain": __grains__["os"],
        "opts": __opts__["id"],
        "test": __opts__["test"],
        "pillar": __pillar__.get("nothing"),
        "low": [__low__["__id__"], __low__["state"], __low__["fun"]],
        "env": __env__,
        "x": x,
        "merged": salt.utils.dictupdate.update({"a": {"b": 1}}, {"a": {"c": 2}}),
        "true": salt.utils.data.is_true("yes"),
        "kwargs": sorted(key for key in kwargs if not key.startswith("__")),
    }
    if __opts__["test"]:
        ret["result"] = None
    return ret


def calls_states(name):
    inner = __states__["probe.changed"](name="inner")
    try:
        raise CommandExecutionError("gone wrong")
    except CommandExecutionError as error:
        comment = str(error)
    __context__["custom.seen"] = __context__.get("custom.seen", 0) + 1
    return {"name": name, "changes": inner["changes"], "result": inner["result"], "comment": comment}


def list_(name):
    return {"name": name, "changes": {}, "result": True, "comment": ["one", "two"]}


def testing(name):
    if __opts__["test"]:
        return {"name": name, "changes": {}, "result": None, "comment": "would test"}
    raise SaltInvocationError("wrong arguments")


def mod_watch(name, sfun=None, **kwargs):
    return {"name": name, "changes": {"sfun": sfun}, "result": True, "comment": "watched"}
