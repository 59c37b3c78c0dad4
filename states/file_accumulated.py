"""Collect texts from many states for one file, whose template or block then holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.state.low import LOWSTATE
from ..common.state.plan import Plan, same
from ._accumulators import add_texts
from ._managed import check_name
from ._planning import planning

__virtualname__ = "file"


@planning
def accumulated(name: str, filename: str, text: str | list[Any]) -> Plan:
    """Collect a text for another state, which must require or watch this one (`require_in`, `watch_in`).

    name
        What the collection is called; several states may add to one.
    filename
        The file whose `file.managed` gets it, as `accumulator[name]` in its template, or whose `file.blockreplace`
        puts it into its block.
    text
        A text, or a list of them.

    SLS example:

        hosts of the database:
          file.accumulated:
            - filename: /etc/hosts
            - text: 10.0.0.5 db
            - require_in:
              - file: hosts block

        hosts block:
          file.blockreplace:
            - name: /etc/hosts
            - append_if_not_found: True
    """
    path = check_name(filename)
    chunks: Iterable[Mapping[str, Any]] | None = current().scratch.get(LOWSTATE)
    if chunks is not None and not any(_takes(chunk, path) for chunk in chunks):
        raise CommandExecutionError(f"no state of the run manages {path}, so the text would be lost")
    texts = text if isinstance(text, list) else [text]
    # The job's memory is no part of the machine, and the plans of later states rest on what is in it.
    add_texts(path, name, [str(one) for one in texts])
    return same(f"Accumulator {name} for file {path} was charged by text")


def _takes(chunk: Mapping[str, Any], path: str) -> bool:
    return chunk.get("state") == "file" and chunk.get("fun") != "accumulated" and str(chunk.get("name")) == path
