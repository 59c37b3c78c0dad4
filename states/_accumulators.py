"""The texts that `file.accumulated` collects, by file and by name, for as long as the job lasts."""

from __future__ import annotations

from collections.abc import Sequence

from ..common.context import current

_KEY = "ctl.accumulators"


def add_texts(path: str, name: str, texts: Sequence[str]) -> None:
    """Add texts to a file's collection; one that is in it already is not added again."""
    everything: dict[str, dict[str, list[str]]] = current().scratch.setdefault(_KEY, {})
    kept = everything.setdefault(path, {}).setdefault(name, [])
    kept += [text for text in dict.fromkeys(texts) if text not in kept]


def texts_of(path: str) -> dict[str, list[str]]:
    """Return a file's collections, by name; empty where nothing was collected."""
    everything: dict[str, dict[str, list[str]]] = current().scratch.get(_KEY, {})
    return everything.get(path, {})
