"""The master's own key, and how another takes its place.

In `pki_dir`: `master.pem` is the key in force; `master.chain` has the certificates that lead to it from the keys
before; `master.old.pem` is the key before it, until the change is finished; `master.next.pem` exists only while a key
is being made. Each step is on disk before the next one, and after a crash at any of them the key in force is the one in
`master.pem`, with as much of the chain as leads to it.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from ..common import crash, crypto
from ..common.crypto import IdentityKey
from ..common.errors import ConfigError, KeyTableError, PinError, StorageError
from ..common.handshake import MAX_CHAIN
from ..common.succession import CERTIFICATE_BYTES, certify, read_certificate

log = logging.getLogger(__name__)

FILE = "master.pem"
CHAIN_FILE = "master.chain"
OLD_FILE = "master.old.pem"
NEXT_FILE = "master.next.pem"
DAY_MS = 86_400_000
EARLY_MS = DAY_MS  # a certificate is valid from before it was made: clocks are set back now and then
VALID_MS = 3650 * DAY_MS


class Identity:
    """The master's key and its certificates; `rotate` and `finish` block on the disk."""

    def __init__(self, directory: Path, random: crypto.Random = os.urandom) -> None:
        """Read the key, or make it; raises `ConfigError` or `StorageError` where a file is damaged."""
        self._directory = directory
        self._random = random
        self.key = IdentityKey.load_or_create(directory / FILE, random)
        self.chain = _leading_to(self.key.public, self._read_chain())

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the key in force."""
        return crypto.fingerprint(crypto.MASTER, self.key.public)

    @property
    def changed_ms(self) -> int:
        """When the key in force took the place of another, by the master's clock; 0 where that is finished."""
        return read_certificate(self.chain[-1]).not_before_ms + EARLY_MS if self.chain else 0

    def rotate(self, now_ms: int) -> str:
        """Put a new key in force, certified by the one before; return its fingerprint.

        What a crash left half done is gone on with.
        """
        if len(self.chain) >= MAX_CHAIN:
            raise KeyTableError(
                f"{MAX_CHAIN} changes of the master's key are not finished", hint="ctl-key rotate-master --finish"
            )
        following, chain = self._next_key(now_ms)
        self.key.save(self._directory / OLD_FILE)
        crash.at("master.rotate.old_written")
        crypto.move_private_file(self._directory / NEXT_FILE, self._directory / FILE)
        crash.at("master.rotate.moved")
        before = self.fingerprint
        self.key, self.chain = following, chain
        log.warning("the master has a new key: %s follows %s", self.fingerprint, before)
        return self.fingerprint

    def _next_key(self, now_ms: int) -> tuple[IdentityKey, tuple[bytes, ...]]:
        """Make the next key and its certificate, both on disk."""
        path, chain = self._directory / NEXT_FILE, self._read_chain()
        if path.exists() and chain:
            following, last = IdentityKey.load(path), read_certificate(chain[-1])
            if (last.old, last.new) == (self.key.public, following.public):
                return following, chain
        following = IdentityKey.generate(self._random)
        following.save(path)
        crash.at("master.rotate.next_written")
        serial = read_certificate(self.chain[-1]).serial + 1 if self.chain else 1
        cert = certify(self.key, following, serial, max(0, now_ms - EARLY_MS), now_ms + VALID_MS)
        chain = (*self.chain, cert)
        crypto.write_private_file(self._directory / CHAIN_FILE, b"".join(chain))
        crash.at("master.rotate.chain_written")
        return following, chain

    def finish(self) -> bool:
        """Forget the keys before this one: who has not heard of it by now will not trust it. False: none to forget."""
        unfinished = bool(self.chain) or (self._directory / OLD_FILE).exists()
        for name in (CHAIN_FILE, OLD_FILE, NEXT_FILE):
            crypto.remove_private_file(self._directory / name)
            crash.at(f"master.rotate.finish.{name}")
        self.chain = ()
        return unfinished

    def _read_chain(self) -> tuple[bytes, ...]:
        path = self._directory / CHAIN_FILE
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StorageError(f"the certificates of the master's key cannot be read: {error}") from error
        chain = tuple(data[start : start + CERTIFICATE_BYTES] for start in range(0, len(data), CERTIFICATE_BYTES))
        try:
            for cert in chain:
                read_certificate(cert)
        except PinError as error:
            raise ConfigError(
                f"it is damaged: {error.message}", path=str(path), hint="restore it from a backup"
            ) from None
        return chain


def _leading_to(public: bytes, chain: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the beginning of a chain that leads to this key; nothing where it leads elsewhere."""
    ends = [place for place, cert in enumerate(chain, 1) if read_certificate(cert).new == public]
    return chain[: ends[-1]] if ends else ()
