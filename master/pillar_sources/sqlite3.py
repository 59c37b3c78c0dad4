"""External pillar from queries of an SQLite database.

Configuration:

    pillar.sqlite3.database: /srv/pillar.db     # or sqlite3: {database: …}
    ext_pillar:
      - sqlite3:
          roles:
            query: SELECT role, value FROM pillar WHERE minion = ?
            depth: 1

The columns are the keys on the way to the last one's value.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...common.context import current
from ...common.data import lookup
from ...common.database import query_file
from ...common.errors import CommandExecutionError
from ._rows import Rows, pillar_of, queries


def ext_pillar(minion_id: str, pillar: dict[str, Any], *listed: Any, **named: Any) -> dict[str, Any]:
    """Run the queries for a minion."""
    config = current().config
    path = config.get("pillar.sqlite3.database") or lookup(config, "sqlite3:database")
    if not path:
        raise CommandExecutionError("the master's configuration names no sqlite3: {database: …}")

    def run(text: str, parameters: Sequence[Any]) -> Rows:
        return query_file(Path(path), text.replace("%s", "?"), parameters)

    return pillar_of(queries(listed, named), run, minion_id, ("%s", "?"))
