"""External pillar from queries of a PostgreSQL database; needs the extra `postgres` (psycopg).

Configuration:

    postgres: {host: db.example.com, port: 5432, user: ctl, pass: secret, db: pillar}
    ext_pillar:
      - postgres:
          roles:
            query: SELECT role, value FROM pillar WHERE minion LIKE %s
            depth: 1

The columns are the keys on the way to the last one's value.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from ...common.context import current
from ...common.errors import CommandExecutionError
from ._rows import Rows, pillar_of, queries

_NAMES = {"host": "host", "port": "port", "user": "user", "pass": "password", "db": "dbname"}
CONNECT_TIMEOUT_S = 10


def ext_pillar(minion_id: str, pillar: dict[str, Any], *listed: Any, **named: Any) -> dict[str, Any]:
    """Run the queries for a minion."""
    try:
        driver = importlib.import_module("psycopg")
    except ImportError:
        raise CommandExecutionError("psycopg is not installed", hint="pip install 'ctl[postgres]'") from None
    given = current().config.get("postgres") or {}
    settings = {ours: given[theirs] for theirs, ours in _NAMES.items() if theirs in given}
    try:
        with driver.connect(**settings, connect_timeout=CONNECT_TIMEOUT_S) as connection:

            def run(text: str, parameters: Sequence[Any]) -> Rows:
                cursor = connection.execute(text, parameters)
                return [column.name for column in cursor.description], cursor.fetchall()

            return pillar_of(queries(listed, named), run, minion_id)
    except driver.OperationalError as error:
        raise CommandExecutionError(f"the database does not answer: {type(error).__name__}") from error
    except driver.Error as error:
        raise CommandExecutionError(f"a query failed: {type(error).__name__}") from error
