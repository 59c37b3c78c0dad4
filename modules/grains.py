"""Read the facts of this minion, and set those that an administrator decides."""

from __future__ import annotations

import builtins
import contextlib
import copy
import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..common import filter_by as table
from ..common.atomic import atomic_write
from ..common.context import current
from ..common.data import MISSING, lookup
from ..common.errors import CommandExecutionError
from ..common.plaintext import has_control

log = logging.getLogger(__name__)

__func_alias__ = {"set_": "set"}

_SANITIZED = {
    "serialnumber": "FILTERED",
    "domain": "DOMAINNAME",
    "fqdn": "MINION.DOMAINNAME",
    "host": "MINION",
    "id": "MINION",
    "localhost": "MINION",
    "nodename": "MINION",
}


def items(sanitize: bool = False) -> dict[str, Any]:
    """Return all grains.

    sanitize
        Replace what names this machine, for a report that others will read.

    CLI example::

        ctl '*' grains.items
    """
    found = dict(current().grains)
    return _sanitized(found) if sanitize else found


def item(
    *args: str, default: Any = "", delimiter: str = ":", ordered: bool = True, sanitize: bool = False
) -> dict[str, Any]:
    """Return the named grains as a dict; one that is missing has the value of `default`.

    CLI example::

        ctl '*' grains.item os osrelease
        ctl '*' grains.item dns:nameservers
    """
    found = {key: get(key, default, delimiter) for key in args}
    return _sanitized(found) if sanitize else found


def _sanitized(grains: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _SANITIZED.get(key, value) for key, value in grains.items()}


def ls() -> list[str]:
    """List the names of all grains.

    CLI example::

        ctl '*' grains.ls
    """
    return sorted(current().grains)


def get(key: str, default: Any = "", delimiter: str = ":", ordered: bool = True) -> Any:
    """Return one grain; `a:b` looks into nested ones.

    default
        What to return where there is no such grain.
    delimiter
        What stands between the parts of the key.

    CLI example::

        ctl '*' grains.get os
        ctl '*' grains.get dns:nameservers:0
    """
    return lookup(current().grains, key, default, delimiter)


def has_value(key: str) -> bool:
    """Tell whether a grain is there and not empty.

    CLI example::

        ctl '*' grains.has_value pkg:apache
    """
    return bool(get(key))


def equals(key: str, value: Any) -> bool:
    """Tell whether a grain has a value, both taken as text.

    CLI example::

        ctl '*' grains.equals os_family Debian
    """
    return str(value) == str(get(key))


def filter_by(
    lookup_dict: dict[Any, Any],
    grain: str = "os_family",
    merge: dict[Any, Any] | None = None,
    default: Any = "default",
    base: str | None = None,
) -> Any:
    """Choose from a dict by a grain: the entry whose key is a glob that matches it.

    lookup_dict
        The choices.
    grain
        The grain that decides; of a list of values the first that matches does.
    merge
        A dict to merge over the choice, such as a pillar.
    default
        The key to take where nothing matches.
    base
        The key of an entry to merge under the choice.

    In a template::

        {% set apache = salt['grains.filter_by']({
            'Debian': {'pkg': 'apache2'},
            'RedHat': {'pkg': 'httpd'},
        }, merge=salt['pillar.get']('apache:lookup')) %}

    CLI example::

        ctl '*' grains.filter_by '{Debian: apache2, RedHat: httpd}'
    """
    value = lookup(current().grains, grain, [])
    return table.filter_by(lookup_dict, value, over=merge, default=default, base=base)


def setval(key: str, val: Any, destructive: bool = False, refresh_pillar: bool = True) -> dict[str, Any]:
    """Set a grain for good, in the file of static grains.

    destructive
        With the value None, delete the grain; else its value becomes None.
    refresh_pillar
        Have the pillar rendered anew, as it may depend on the grain.

    CLI example::

        ctl '*' grains.setval role web
        ctl '*' grains.setval roles '[web, db]'
    """
    return setvals({key: val}, destructive, refresh_pillar)


def setvals(grains: dict[str, Any], destructive: bool = False, refresh_pillar: bool = True) -> dict[str, Any]:
    """Set several grains for good; returns them.

    CLI example::

        ctl '*' grains.setvals '{role: web, floor: 3}'
    """
    if not isinstance(grains, Mapping):
        raise CommandExecutionError("grains.setvals: the grains must be given as a dict")
    for key, value in grains.items():
        _check(str(key), value)
    with _locked():
        stored = _read()
        for key, value in grains.items():
            if value is None and destructive:
                stored.pop(key, None)
            else:
                stored[key] = copy.deepcopy(value)
        _write(stored)
    _renew(grains, destructive, refresh_pillar)
    return dict(grains)


def append(key: str, val: Any, convert: bool = False, delimiter: str = ":") -> Any:
    """Append to a grain that is a list; one that is missing becomes a list.

    val
        What to append; the elements of a list are appended one by one.
    convert
        Make a list of a grain that is none.

    CLI example::

        ctl '*' grains.append roles web
    """
    grain = copy.deepcopy(get(key, [], delimiter))
    if convert and not isinstance(grain, list):
        grain = [grain]
    if not isinstance(grain, list):
        return f"The key {key} is not a valid list"
    if val in grain:
        return f"The val {val} was already in the list {key}"
    grain.extend(val if isinstance(val, list) else [val])
    return _store(key, grain, delimiter)


def remove(key: str, val: Any, delimiter: str = ":") -> Any:
    """Remove a value, or each value of a list, from a grain that is a list.

    CLI example::

        ctl '*' grains.remove roles web
    """
    grain = copy.deepcopy(get(key, [], delimiter))
    if not isinstance(grain, list):
        return f"The key {key} is not a valid list"
    values = val if isinstance(val, list) else [val]
    if not any(value in grain for value in values):
        return f"The val {val} was not in the list {key}"
    return _store(key, [item for item in grain if item not in values], delimiter)


def delkey(key: str, force: bool = False) -> dict[str, Any]:
    """Delete a grain with its name.

    force
        Delete it although it is a dict or a list.

    CLI example::

        ctl '*' grains.delkey role
    """
    return set_(key, None, force=force, destructive=True)


def delval(key: str, destructive: bool = False, force: bool = False) -> dict[str, Any]:
    """Make a grain's value None; with `destructive`, delete its name too.

    CLI example::

        ctl '*' grains.delval role
    """
    return set_(key, None, force=force, destructive=destructive)


def set_(
    key: str, val: Any = "", force: bool = False, destructive: bool = False, delimiter: str = ":"
) -> dict[str, Any]:
    """Set a grain, also a nested one; returns `result`, `changes` and `comment`.

    force
        Overwrite a dict or a list, or a simple value with one of them.
    destructive
        With the value None, delete the grain.

    CLI example::

        ctl '*' grains.set apps:web:port 8080
        ctl '*' grains.set apps '{}' force=True
    """
    old = get(key, MISSING, delimiter)
    if old is not MISSING and old == val and not (val is None and destructive):
        return _answer("Grain is already set")
    if old is not MISSING and old is not None and not force:
        if isinstance(old, dict | list):
            return _refusal(f"The key '{key}' exists but is a dict or a list. Use 'force=True' to overwrite.")
        if isinstance(val, dict | list):
            return _refusal(
                f"The key '{key}' exists and the given value is a dict or a list. Use 'force=True' to overwrite."
            )
    if old is MISSING and val is None and destructive:
        return _answer("Grain is already absent")
    top, value = key, val
    while delimiter in top:
        top, last = top.rsplit(delimiter, 1)
        parent = copy.deepcopy(get(top, {}, delimiter))
        value = _placed(parent, last, value, destructive, force)
        if value is MISSING:
            return _refusal(
                f"The key '{top}' value is '{parent}', which is different from the provided key '{last}'. "
                "Use 'force=True' to overwrite."
            )
    return {"result": True, "changes": setval(top, value, destructive), "comment": ""}


def _answer(comment: str) -> dict[str, Any]:
    return {"result": True, "changes": {}, "comment": comment}


def _refusal(comment: str) -> dict[str, Any]:
    return {"result": False, "changes": {}, "comment": comment}


def _placed(parent: Any, key: str, value: Any, destructive: bool, force: bool) -> Any:
    """Return `parent` with `value` at `key`; MISSING where it is something else and not to be overwritten."""
    if isinstance(parent, dict):
        if value is None and destructive:
            parent.pop(key, None)
        else:
            parent[key] = value
        return parent
    if isinstance(parent, list):
        return _placed_in_list(parent, key, value)
    return {key: value} if force or parent == key else MISSING


def _placed_in_list(parent: list[Any], key: str, value: Any) -> list[Any]:
    found = False
    for index, element in enumerate(parent):
        if element == key or (isinstance(element, dict) and key in element):
            parent[index] = {**element, key: value} if isinstance(element, dict) else {key: value}
            found = True
    return parent if found else [*parent, {key: value}]


def _store(key: str, value: Any, delimiter: str) -> dict[str, Any]:
    """Set a value that may be nested, rebuilding what is around it."""
    while delimiter in key:
        key, last = key.rsplit(delimiter, 1)
        parent = copy.deepcopy(get(key, {}, delimiter))
        value = [*parent, {last: value}] if isinstance(parent, list) else {**parent, last: value}
    return setval(key, value)


def _check(key: str, value: Any) -> None:
    if has_control(key) or has_control(value):
        raise CommandExecutionError(
            f"the grain {key!r} has control characters, such as a line break, which grains lack"
        )
    if key in current().config.get("grains", {}):
        log.warning("the grain %s is also set in the minion's configuration, which wins", key)


def _path() -> Path:
    return Path(current().config["config_dir"]) / "grains"


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Let one job at a time change the file."""
    directory = os.open(_path().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _read() -> dict[str, Any]:
    try:
        data = yaml.load(_path().read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CommandExecutionError(f"{_path()} cannot be read, so it is not changed: {error}") from error
    if data is not None and not isinstance(data, dict):
        raise CommandExecutionError(f"{_path()} holds no mapping, so it is not changed")
    return data or {}


def _write(grains: dict[str, Any]) -> None:
    text = yaml.dump(grains, Dumper=yaml.CSafeDumper, default_flow_style=False, allow_unicode=True, sort_keys=True)
    try:
        atomic_write(_path(), text.encode(), follow=True, sync=True)
    except OSError as error:
        raise CommandExecutionError(f"{_path()} cannot be written: {error}") from error


def _renew(changed: Mapping[str, Any], destructive: bool, refresh_pillar: bool) -> None:
    """Have the daemon collect the grains anew, and make this job see the change too."""
    context = current()
    context.daemon.refresh("grains")
    gone = {key for key, value in changed.items() if value is None and destructive}
    if any(context.grains.get(key, MISSING) != value for key, value in changed.items() if key not in gone) or any(
        key in context.grains for key in gone
    ):
        kept = {key: value for key, value in context.grains.items() if key not in builtins.set(changed)}
        context.grains = {**kept, **{key: value for key, value in changed.items() if key not in gone}}
    if refresh_pillar:
        context.daemon.refresh("pillar")
