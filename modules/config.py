"""Read settings wherever they are: the minion's configuration, its grains, its pillar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..common.config_places import places
from ..common.context import current
from ..common.data import MISSING, lookup
from ..common.merging import merged

__func_alias__ = {"items_": "items"}

_SECRETS = ("master_key", "key_pass", "password", "passphrase")


def get(
    key: str,
    default: Any = "",
    delimiter: str = ":",
    merge: str | bool | None = None,
    omit_opts: bool = False,
    omit_pillar: bool = False,
    omit_master: bool = False,
    omit_grains: bool = False,
) -> Any:
    """Return the setting `key` (`a:b:c`): from the minion's configuration, its grains, its pillar, or the default.

    merge
        Where several places have a mapping, merge them (`recurse` or `overwrite`), the first over the later ones.

    CLI example: `ctl '*' config.get pkg:apache`
    """
    places = _places(omit_opts, omit_grains, omit_pillar, omit_master)
    found = (value for place in places if (value := lookup(place, key, MISSING, delimiter)) is not MISSING)
    if not merge:
        return next(found, default)
    strategy = merge if isinstance(merge, str) else "recurse"
    return _merged([*found], default, strategy)


def _places(
    omit_opts: bool, omit_grains: bool, omit_pillar: bool, omit_master: bool = False
) -> Iterator[Mapping[str, Any]]:
    context = current()
    if not omit_opts:
        yield context.config
    if not omit_grains:
        yield context.grains
    if not omit_pillar:
        yield context.pillar
    if not omit_master:
        master = context.pillar.get("master")
        if isinstance(master, Mapping):
            yield master


def _merged(values: list[Any], default: Any, strategy: str) -> Any:
    """Merge mappings, the first over the later ones; a first value that is no mapping is what there is."""
    if isinstance(default, Mapping):
        values.append(default)
    if not values:
        return default
    if not isinstance(values[0], Mapping):
        return values[0]
    result: Mapping[Any, Any] = {}
    for value in reversed([value for value in values if isinstance(value, Mapping)]):
        result = merged(result, value, strategy)
    return result


def option(
    value: str,
    default: Any = "",
    omit_opts: bool = False,
    omit_grains: bool = False,
    omit_pillar: bool = False,
    omit_master: bool = False,
) -> Any:
    """Return a setting by its plain name (a colon is an ordinary character).

    CLI example: `ctl '*' config.option redis.host`
    """
    for place in _places(omit_opts, omit_grains, omit_pillar, omit_master):
        if value in place:
            return place[value]
    return default


def merge(value: str, default: Any = "", omit_opts: bool = False, omit_master: bool = False) -> Any:
    """Return a setting, with what configuration and pillar have of it put together.

    CLI example: `ctl '*' config.merge schedule`
    """
    places = _places(omit_opts, True, False, omit_master)
    found = [place[value] for place in places if value in place]
    if found and all(isinstance(one, list) for one in found):
        return [item for one in found for item in one]
    return _merged(found, default, "recurse")


def items_() -> dict[str, Any]:
    """Return the minion's configuration.

    CLI example: `ctl '*' config.items`
    """
    return {key: value for key, value in current().config.items() if key not in _SECRETS}


def explain(key: str, delimiter: str = ":") -> dict[str, Any]:
    """Say where the value of `config.get key` comes from: file and line, a default, a grain or pillar.

    CLI example: `ctl '*' config.explain file_roots:base`
    """
    context = current()
    value = get(key, MISSING, delimiter)
    if value is MISSING:
        return {"value": None, "from": "nowhere: it is not set"}
    if lookup(context.config, key, MISSING, delimiter) is MISSING:
        in_grains = lookup(context.grains, key, MISSING, delimiter) is not MISSING
        return {"value": value, "from": f"the {'grain' if in_grains else 'pillar value'} {key}"}
    directory = Path(str(context.config.get("config_dir") or ""))
    found = places(directory, "minion", key, delimiter)
    told: dict[str, Any] = {"value": value, "from": "a default, or the program that was started"}
    if found:
        told["from"] = f"{found[-1].path}:{found[-1].line}"
    if len(found) > 1:
        told["overridden"] = [{"value": one.value, "from": f"{one.path}:{one.line}"} for one in found[:-1]]
    return told


def dot_vals(value: str) -> dict[str, Any]:
    """Return the settings whose names start with `value` and a dot.

    CLI example: `ctl '*' config.dot_vals host`
    """
    prefix = f"{value}."
    found: dict[str, Any] = {}
    for place in (current().pillar, current().config):
        found.update({key: place[key] for key in place if str(key).startswith(prefix)})
    return found


def manage_mode(mode: str | int | None) -> str | None:
    """Return a mode as four octal digits.

    CLI example: `ctl '*' config.manage_mode 644`
    """
    return None if mode is None else str(mode).lstrip("0Oo").zfill(4)


def valid_fileproto(uri: str) -> bool:
    """Say whether a file can come from this URL.

    CLI example: `ctl '*' config.valid_fileproto salt://path/to/file`
    """
    return uri.partition("://")[0] in ("salt", "ctl", "http", "https", "ftp", "file") and "://" in uri


def backup_mode(backup: str = "") -> str:
    """Return the backup mode: the one given, or the minion's.

    CLI example: `ctl '*' config.backup_mode`
    """
    return backup or str(option("backup_mode"))
