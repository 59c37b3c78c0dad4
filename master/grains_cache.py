"""What minions said of themselves: grains as they came, packed, with an index of the keys that targets ask for.

Ten thousand minions are ten thousand packed blobs here, not ten thousand dicts: a target looks keys up in columns, each
built as it is first asked for and kept up to date from then on. The pillar that was rendered last is held the same way,
in memory only.
"""

from __future__ import annotations

import logging
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..common.data import MISSING, lookup
from ..common.database import Cursor, Database
from ..common.errors import StorageError, WireError
from ..common.plaintext import own_grains
from ..common.wire import pack_payload, unpack_payload

log = logging.getLogger(__name__)

MAX_COLUMNS = 64
MAX_ENTRY_BYTES = 8 * 1024 * 1024
COMPRESSION = 1

MIGRATIONS = ("CREATE TABLE grains (id TEXT PRIMARY KEY, packed BLOB NOT NULL) WITHOUT ROWID",)

Column = dict[str, Any]


class PackedCache:
    """One packed mapping per minion, and columns over them."""

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}
        self._columns: OrderedDict[tuple[str, str], Column] = OrderedDict()

    def __contains__(self, minion: str) -> bool:
        return minion in self._packed

    def __len__(self) -> int:
        return len(self._packed)

    def put(self, minion: str, payload: bytes) -> bool:
        """Keep what is packed in `payload`; False where that is what is here already.

        Raises `WireError` for what does not unpack to a mapping.
        """
        if len(payload) > MAX_ENTRY_BYTES:
            raise WireError(f"{len(payload)} bytes are more than the {MAX_ENTRY_BYTES} that are kept of one minion")
        packed = zlib.compress(payload, COMPRESSION)
        if self._packed.get(minion) == packed:
            return False
        data = unpack_payload(payload)
        if not isinstance(data, dict):
            raise WireError("a mapping was expected")
        tidy = self._tidy(minion, data)
        if tidy != data:
            packed, data = zlib.compress(pack_payload(tidy), COMPRESSION), tidy
            if self._packed.get(minion) == packed:
                return False
        self._packed[minion] = packed
        for (key, delimiter), column in self._columns.items():
            column[minion] = lookup(data, key, MISSING, delimiter) if key else data
        return True

    def _tidy(self, minion: str, data: dict[str, Any]) -> dict[str, Any]:
        """Return what is kept of a mapping."""
        return data

    def get(self, minion: str) -> dict[str, Any]:
        """Return the mapping of a minion, empty where there is none."""
        payload = self.payload(minion)
        data = unpack_payload(payload) if payload else {}
        return data if isinstance(data, dict) else {}

    def payload(self, minion: str) -> bytes:
        """Return the packed mapping of a minion, as it came; empty where there is none."""
        packed = self._packed.get(minion)
        return zlib.decompress(packed) if packed is not None else b""

    def drop(self, minion: str) -> None:
        """Forget a minion."""
        self._packed.pop(minion, None)
        for column in self._columns.values():
            column.pop(minion, None)

    def look_up(self, minion: str, key: str, delimiter: str) -> Any:
        """Return what a minion has at `key`, or MISSING."""
        if not key:
            return self.get(minion)
        column = self._column(key, delimiter)
        value = column.get(minion, column)
        if value is column:
            value = column[minion] = lookup(self.get(minion), key, MISSING, delimiter)
        return value

    def _column(self, key: str, delimiter: str) -> Column:
        column = self._columns.get((key, delimiter))
        if column is None:
            if len(self._columns) >= MAX_COLUMNS:
                self._columns.popitem(last=False)
            column = self._columns[key, delimiter] = {}
        else:
            self._columns.move_to_end((key, delimiter))
        return column


class GrainsCache(PackedCache):
    """The grains of each minion, kept across restarts of the master in the database at `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._database = Database.open(path, MIGRATIONS, durable=False)
        try:
            self._packed.update(self._database.read("SELECT id, packed FROM grains"))
        except StorageError:
            self._database.close()
            raise

    def put(self, minion: str, payload: bytes) -> bool:
        """Keep a minion's grains; False where they are the ones that are here already."""
        if not super().put(minion, payload):
            return False
        packed = self._packed[minion]

        def work(cursor: Cursor) -> None:
            cursor.execute("INSERT OR REPLACE INTO grains (id, packed) VALUES (?,?)", (minion, packed))

        self._database.write(work)
        return True

    def _tidy(self, minion: str, data: dict[str, Any]) -> dict[str, Any]:
        return own_grains(minion, data)

    def drop(self, minion: str) -> None:
        """Forget a minion's grains."""
        super().drop(minion)

        def work(cursor: Cursor) -> None:
            cursor.execute("DELETE FROM grains WHERE id=?", (minion,))

        self._database.write(work)

    def addresses(self, minion: str) -> Iterable[str]:
        """Return the addresses that a minion's grains name."""
        for key in ("ipv4", "ipv6"):
            values = self.look_up(minion, key, ":")
            if isinstance(values, list):
                yield from (str(value) for value in values if value)

    def close(self) -> None:
        """Close the database."""
        self._database.close()
