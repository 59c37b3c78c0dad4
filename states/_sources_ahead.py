"""What the master says of every tree file that the states of a run name as their source: asked for once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..common import files
from ..common.context import FileInfo, current
from ..common.errors import FileServerError
from ..common.state.low import LOWSTATE

_KEY = "ctl.sources_ahead"

Known = dict[tuple[str, str], FileInfo | None]


def take_ahead(saltenv: str, path: str) -> tuple[bool, FileInfo | None]:
    """Return whether a file was looked up ahead, and what was found.

    A run sees one version of each file. That one is missing is said once: a state that tries again looks again.
    """
    chunks = current().scratch.get(LOWSTATE) or ()
    kept: tuple[Any, Known] | None = current().scratch.get(_KEY)
    if kept is None or kept[0] is not chunks:
        kept = current().scratch[_KEY] = (chunks, _look_up(chunks))
    known = kept[1]
    if (saltenv, path) not in known:
        return False, None
    info = known[saltenv, path]
    if info is None:
        del known[saltenv, path]
    return True, info


def _look_up(chunks: Sequence[Mapping[str, Any]]) -> Known:
    source = current().files
    # On the machine that has the files a look-up costs nothing, and an earlier state may change them.
    if isinstance(source, files.Roots) or len(chunks) < 2:
        return {}
    wanted: dict[str, dict[str, None]] = {}
    for saltenv, path in _named(chunks):
        wanted.setdefault(saltenv, {})[path] = None
    environments = set(source.environments()) if wanted else set()
    known: Known = {}
    for saltenv in wanted.keys() & environments:
        found = source.find(list(wanted[saltenv]), saltenv)
        known |= {(saltenv, path): info for path, info in found.items()}
    return known


def _named(chunks: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for chunk in chunks:
        if chunk.get("state") != "file" or chunk.get("fun") == "recurse":
            continue
        for url in _urls(chunk.get("source")):
            if files.is_tree_url(url):
                path, named = files.split_url(url)
                if _is_plain(path):
                    yield named or str(chunk.get("saltenv") or chunk.get("__env__") or "base"), path


def _urls(source: Any) -> Iterator[str]:
    if isinstance(source, str):
        yield source
    elif isinstance(source, list | Mapping):
        for item in source:
            yield from _urls(item)


def _is_plain(path: str) -> bool:
    """Say whether asking for a path is no mistake, which would be all other states' as well."""
    try:
        return files.check_relative(path) == path
    except FileServerError:
        return False
