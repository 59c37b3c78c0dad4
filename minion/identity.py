"""This minion's key, and the one that is to follow it while it is being changed.

`minion.pem` in `pki_dir` is the key in force. A new one is on disk as `minion.next.pem` before the master hears of
it, and takes the place of the old one once the master has taken it. Where this minion died in between, the master says
which key counts: it rejects the old one.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ..common import crash, crypto
from ..common.crypto import IdentityKey
from ..common.succession import sign_change

log = logging.getLogger(__name__)

FILE = "minion.pem"
NEXT_FILE = "minion.next.pem"


class Identity:
    """The key of this minion; `key` is the one in force."""

    def __init__(self, directory: Path) -> None:
        """Read the key, or make it."""
        self._path = directory / FILE
        self._next_path = directory / NEXT_FILE
        self._changing = False
        self.key = IdentityKey.load_or_create(self._path)
        self._next = IdentityKey.load(self._next_path) if self._next_path.exists() else None

    @property
    def public(self) -> bytes:
        """The public half of the key in force."""
        return self.key.public

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the key in force."""
        return crypto.fingerprint(crypto.MINION, self.key.public)

    def begin_change(self, minion: str) -> dict[str, bytes]:
        """Make the next key, durably; return what asks the master to take it."""
        self._changing = True
        made = IdentityKey.generate()
        made.save(self._next_path)
        self._next = made
        crash.at("minion.key.next_written")
        old, new = self.key.public, made.public
        by_old, by_new = (sign_change(key, minion, old, new) for key in (self.key, made))
        return {"public": new, "by_old": by_old, "by_new": by_new}

    def end_change(self) -> None:
        """The change was given up; whether the master took it shows at the next handshake."""
        self._changing = False

    def promote(self) -> bool:
        """Put the next key in force; False where there is none."""
        if self._next is None:
            return False
        crash.at("minion.key.before_promote")
        crypto.move_private_file(self._next_path, self._path)
        crash.at("minion.key.after_promote")
        self.key, self._next, self._changing = self._next, None, False
        log.warning("this minion has a new key: %s", self.fingerprint)
        return True

    def accepted(self) -> None:
        """The master accepts the key in force: a next one that was left behind is not wanted."""
        if self._next is not None and not self._changing:
            self._next_path.unlink(missing_ok=True)
            self._next = None
