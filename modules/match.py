"""Ask whether a target expression means this minion."""

from __future__ import annotations

import builtins
import fnmatch
from collections.abc import Mapping
from typing import Any

from ..common import filter_by as table
from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.matchers import DictMinion
from ..common.target import parse

__func_alias__ = {"list_": "list"}


def compound(tgt: str | builtins.list[str], minion_id: str | None = None) -> bool:
    """Match a compound expression.

    minion_id
        Match as if this were the minion's id.

    CLI example::

        ctl '*' match.compound 'G@os:Debian and not web*'
    """
    return _matches(tgt, "compound", minion_id=minion_id)


def glob(tgt: str, minion_id: str | None = None) -> bool:
    """Match the id against a glob.

    CLI example::

        ctl '*' match.glob 'web*'
    """
    return _matches(tgt, "glob", minion_id=minion_id)


def pcre(tgt: str, minion_id: str | None = None) -> bool:
    """Match the start of the id against a regular expression.

    CLI example::

        ctl '*' match.pcre 'web[0-9]+'
    """
    return _matches(tgt, "pcre", minion_id=minion_id)


def list_(tgt: str | builtins.list[str], minion_id: str | None = None) -> bool:
    """Match a list of ids.

    CLI example::

        ctl '*' match.list 'web1,web2'
    """
    return _matches(tgt, "list", minion_id=minion_id)


def grain(tgt: str, delimiter: str = ":") -> bool:
    """Match a grain, `key:glob`.

    CLI example::

        ctl '*' match.grain 'os:Deb*'
    """
    return _matches(tgt, "grain", delimiter)


def grain_pcre(tgt: str, delimiter: str = ":") -> bool:
    """Match a grain against a regular expression.

    CLI example::

        ctl '*' match.grain_pcre 'os:Debian|Ubuntu'
    """
    return _matches(tgt, "grain_pcre", delimiter)


def pillar(tgt: str, delimiter: str = ":") -> bool:
    """Match a pillar value, `key:glob`.

    CLI example::

        ctl '*' match.pillar 'role:web*'
    """
    return _matches(tgt, "pillar", delimiter)


def pillar_pcre(tgt: str, delimiter: str = ":") -> bool:
    """Match a pillar value against a regular expression.

    CLI example::

        ctl '*' match.pillar_pcre 'role:web|db'
    """
    return _matches(tgt, "pillar_pcre", delimiter)


def ipcidr(tgt: str) -> bool:
    """Match an address of this minion, or a network that one is in.

    CLI example::

        ctl '*' match.ipcidr 192.168.0.0/16
    """
    return _matches(tgt, "ipcidr")


def nodegroup(tgt: str, minion_id: str | None = None) -> bool:
    """Match a node group of this minion's configuration.

    CLI example::

        ctl '*' match.nodegroup web
    """
    return _matches(tgt, "nodegroup", minion_id=minion_id)


def data(tgt: str) -> bool:
    """Match a value of the minion's data store, `key:glob`.

    CLI example::

        ctl '*' match.data 'spam:eggs'
    """
    key, colon, wanted = tgt.partition(":")
    context = current()
    if not colon or "data.getval" not in context.functions:
        return False
    value = context.call("data.getval", key)
    if isinstance(value, Mapping):
        return wanted in value
    values = value if isinstance(value, builtins.list) else [value]
    return any(fnmatch.fnmatch(str(one).lower(), wanted.lower()) for one in values if one is not None)


def filter_by(
    lookup: dict[Any, Any],
    tgt_type: str = "compound",
    minion_id: str | None = None,
    merge: dict[Any, Any] | None = None,
    merge_lists: bool = False,
    default: Any = "default",
) -> Any:
    """Choose from a dict whose keys are target expressions: the first that matches counts.

    merge
        A dict to merge over the choice.
    default
        The key to take where nothing matches.

    In a template::

        {% set roles = salt['match.filter_by']({'web*': ['app'], 'db*': ['db']}, default='web*') %}

    CLI example::

        ctl '*' match.filter_by '{"web*": app, "G@os:Debian": deb}'
    """
    for expression in lookup:
        if _matches(str(expression), tgt_type, minion_id=minion_id):
            return table.choice_with(lookup[expression], merge, merge_lists)
    return table.choice_with(lookup.get(default), merge, merge_lists)


def search_by(
    lookup: dict[Any, Any], tgt_type: str = "compound", minion_id: str | None = None
) -> builtins.list[Any] | None:
    """Return the keys of a dict whose lists hold a target expression that matches; None where none does.

    CLI example::

        ctl '*' match.search_by '{web: ["web*"], db: ["db*", "G@role:db"]}'
    """
    found = []
    for key, expressions in lookup.items():
        targets = [expressions] if isinstance(expressions, str) else expressions
        if any(_matches(str(target), tgt_type, minion_id=minion_id) for target in targets):
            found.append(key)
    return found or None


def ifelse(
    *args: Any,
    tgt_type: str = "compound",
    minion_id: str | None = None,
    merge: dict[Any, Any] | None = None,
    merge_lists: bool = False,
) -> Any:
    """Take pairs of a target expression and a value, and return the value of the first that matches.

    A single argument at the end is what to return where nothing matches.

    CLI example::

        ctl '*' match.ifelse 'web*' app 'db*' database other
    """
    pairs = builtins.list(zip(args[0::2], args[1::2], strict=False))
    chosen = args[-1] if len(args) % 2 else None
    for expression, value in pairs:
        if _matches(str(expression), tgt_type, minion_id=minion_id):
            chosen = value
            break
    return table.choice_with(chosen, merge, merge_lists)


def explain(
    tgt: str | builtins.list[str], tgt_type: str = "compound", delimiter: str = ":", minion_id: str | None = None
) -> dict[str, Any]:
    """Say whether a target expression means this minion, and which of its terms match.

    CLI example::

        ctl '*' match.explain 'G@os:Debian and not ( web* or I@role:db )'
    """
    context = current()
    target = parse(tgt, tgt_type, delimiter, context.config.get("nodegroups") or {})
    minion = DictMinion(minion_id or context.id, context.grains, context.pillar)
    return {"matches": target.matches(minion), "expression": target.expand(), "terms": dict(target.explain(minion))}


def _matches(tgt: str | builtins.list[str], kind: str, delimiter: str = ":", *, minion_id: str | None = None) -> bool:
    context = current()
    if kind == "data":
        return data(str(tgt))
    if not isinstance(tgt, str | builtins.list):
        raise CommandExecutionError(f"a target is a text or a list, not {type(tgt).__name__}")
    minion = DictMinion(minion_id or context.id, context.grains, context.pillar)
    return parse(tgt, kind, delimiter, context.config.get("nodegroups") or {}).matches(minion)
