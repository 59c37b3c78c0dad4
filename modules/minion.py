"""The minion itself: its key."""

from __future__ import annotations

from typing import Any

from ..common.context import current
from ..common.errors import CommandExecutionError


def rotate_key() -> dict[str, str]:
    """Replace this minion's key by a new one; return both fingerprints.

    The master takes the new key on the word of the old one, and from then on rejects the old one. The minion connects
    anew under its new key.

    CLI example: `ctl web1 minion.rotate_key`
    """
    daemon: Any = current().daemon
    if not hasattr(daemon, "change_key"):
        raise CommandExecutionError("there is no daemon here whose key could be changed")
    old, new = daemon.change_key()
    return {"old": old, "new": new}
