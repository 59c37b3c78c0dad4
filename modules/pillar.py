"""Read this minion's pillar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common import filter_by as table
from ..common.context import current
from ..common.data import MISSING, lookup
from ..common.errors import PillarError
from ..common.files import Roots, split_url
from ..common.merging import merged
from ..common.pillar_places import EXPLAIN
from ..common.pillar_secrets import decrypted
from ._rendering import job_renderer

ERRORS = "_errors"

__func_alias__ = {"items_": "items"}


def get(
    key: str,
    default: Any = "",
    merge: bool | str = False,
    merge_nested_lists: bool | None = None,
    delimiter: str = ":",
    pillarenv: str | None = None,
    saltenv: str | None = None,
) -> Any:
    """Return the value at `key` (`pkg:apache`), or `default` where pillar has none.

    merge
        Merge what pillar has over a `default` that is a mapping or list: True, or the name of a strategy.

    CLI example: `ctl '*' pillar.get pkg:apache`
    """
    value = lookup(_pillar(pillarenv, saltenv), key, MISSING, delimiter) if key else _pillar(pillarenv, saltenv)
    if value is MISSING:
        if default is KeyError:
            raise KeyError(f"pillar has no {key}")
        return default
    if not merge:
        return value
    if isinstance(default, Mapping) and isinstance(value, Mapping):
        return merged(default, value, "smart" if merge is True else str(merge), bool(merge_nested_lists))
    if isinstance(default, list) and isinstance(value, list):
        return default + [item for item in value if item not in default]
    return value


def items_(
    *args: str,
    pillar: dict[str, Any] | None = None,
    pillar_enc: str | None = None,
    pillarenv: str | None = None,
    saltenv: str | None = None,
) -> dict[str, Any]:
    """Render pillar anew and return it; with names, only those.

    pillar
        Values to merge over it.
    pillar_enc
        The renderer that decrypts those values here: `gpg`.

    CLI example: `ctl '*' pillar.items`
    """
    if pillar and pillar_enc:
        pillar = decrypted(pillar, pillar_enc, current().config, job_renderer())
    found = current().daemon.pillar(saltenv=saltenv, pillarenv=pillarenv, override=pillar, fresh=True)
    if not args:
        return found
    return {name: found[name] for name in args if name in found}


def data(*args: str, pillar: dict[str, Any] | None = None, pillarenv: str | None = None) -> dict[str, Any]:
    """Do what `pillar.items` does.

    CLI example: `ctl '*' pillar.data`
    """
    return items_(*args, pillar=pillar, pillarenv=pillarenv)


def explain(key: str, pillarenv: str | None = None, saltenv: str | None = None) -> dict[str, Any]:
    """Say which file and line of the pillar tree the value at `key` (`a:b`) comes from; pillar is rendered for it.

    Where several files have the key, `merged` lists what each has, in the order in which they are merged.

    CLI example: `ctl '*' pillar.explain pkg:apache`
    """
    found = current().daemon.pillar(saltenv=saltenv, pillarenv=pillarenv, override={EXPLAIN: key}, fresh=True)
    told = dict(found.get(EXPLAIN) or {"value": None, "from": "nowhere: pillar does not render"})
    return {**told, ERRORS: found[ERRORS]} if found.get(ERRORS) else told


def item(
    *args: str,
    default: Any = "",
    delimiter: str = ":",
    pillarenv: str | None = None,
    saltenv: str | None = None,
) -> dict[str, Any]:
    """Return the values of one or more keys.

    CLI example: `ctl '*' pillar.item roles pkg:apache`
    """
    found = _pillar(pillarenv, saltenv)
    return {key: lookup(found, key, default, delimiter) for key in args}


def raw(key: str | None = None) -> Any:
    """Return pillar as it is in memory, or one key of it.

    CLI example: `ctl '*' pillar.raw`
    """
    found = current().pillar
    return found.get(key, {}) if key else dict(found)


def ls(*args: str) -> list[str]:
    """List pillar's keys.

    CLI example: `ctl '*' pillar.ls`
    """
    return list(items_(*args))


def keys(key: str, delimiter: str = ":") -> list[Any]:
    """List the keys of the mapping at `key`.

    CLI example: `ctl '*' pillar.keys web:sites`
    """
    found = lookup(current().pillar, key, MISSING, delimiter)
    if found is MISSING:
        raise KeyError(f"pillar has no {key}")
    if not isinstance(found, Mapping):
        raise ValueError(f"the pillar value at {key} is no mapping")
    return list(found)


def obfuscate(*args: str, pillar: dict[str, Any] | None = None, pillarenv: str | None = None) -> Any:
    """Return pillar with each value replaced by the name of its type.

    CLI example: `ctl '*' pillar.obfuscate`
    """
    return _obfuscated(items_(*args, pillar=pillar, pillarenv=pillarenv))


def _obfuscated(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _obfuscated(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_obfuscated(inner) for inner in value]
    return f"<{type(value).__name__}>"


def filter_by(
    lookup_dict: dict[Any, Any],
    pillar: str,
    merge: dict[Any, Any] | None = None,
    default: Any = "default",
    base: str | None = None,
) -> Any:
    """Choose from a mapping by the value of a pillar key, as `grains.filter_by` does by a grain.

    CLI example: `ctl '*' pillar.filter_by '{web: 80, db: 5432}' role`
    """
    value = lookup(current().pillar, pillar, [])
    return table.filter_by(lookup_dict, value, over=merge, default=default, base=base)


def file_exists(path: str, saltenv: str | None = None) -> bool:
    """Say whether the pillar tree of this machine has a file; for a minion that has its own pillar.

    CLI example: `ctl '*' pillar.file_exists top.sls`
    """
    roots = Roots(current().config.get("pillar_roots") or {})
    relative, env = split_url(path)
    chosen = env or saltenv or "base"
    return chosen in roots.environments() and roots.locate(relative, chosen) is not None


def _pillar(pillarenv: str | None, saltenv: str | None) -> Mapping[str, Any]:
    """Return the pillar in memory, or that of another environment."""
    if pillarenv is None and saltenv is None:
        return current().pillar
    found = current().daemon.pillar(saltenv=saltenv, pillarenv=pillarenv, fresh=True)
    if found.get(ERRORS):
        raise PillarError([str(problem) for problem in found[ERRORS]])
    return found
