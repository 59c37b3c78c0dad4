"""OpenPGP signatures of what a file is made from: checked by the real gpg, against the keys that a state names."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common import process
from ..common.errors import CommandExecutionError

MAX_SIGNED_BYTES = 16 * 1024 * 1024
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")
_STATUS = "[GNUPG:] "
# What gpg says of a signature that is mathematically right, but by a key that should not count any more.
_SPOILT = ("EXPSIG", "EXPKEYSIG", "REVKEYSIG")


@dataclass(frozen=True, slots=True)
class Signers:
    """Whose signature is asked for: any key of the keyring, or those of these fingerprints."""

    any_of: tuple[str, ...] = ()
    all_of: tuple[str, ...] = ()
    keyring: str | None = None
    home: str | None = None

    @classmethod
    def read(cls, any_of: Any, all_of: Any, keyring: str | None, home: str | None) -> Signers:
        """Read what a state says; each list may be one fingerprint. Raises where one is none."""
        return cls(_fingerprints(any_of), _fingerprints(all_of), keyring, home)

    def check(self, path: str | Path, signature: str | Path | None = None, what: str = "") -> None:
        """Check a file against its detached signature, or the one that is in it; raises where it is not signed so."""
        words = ["--verify", "--", *([str(signature)] if signature else []), str(path)]
        self._judge(self._gpg(words), what or str(path))

    def signed_text(self, path: str | Path, what: str = "") -> bytes:
        """Return what is signed in a file with an inline signature, without anything that stands beside it."""
        with tempfile.TemporaryDirectory(prefix="ctl-signed-") as folder:
            target = Path(folder, "text")
            self._judge(self._gpg(["--output", str(target), "--decrypt", "--", str(path)]), what or str(path))
            with open(target, "rb") as file:
                return file.read(MAX_SIGNED_BYTES)

    def _gpg(self, words: list[str]) -> process.Completed:
        where = ["--homedir", self.home] if self.home else []
        where += ["--no-default-keyring", "--keyring", self.keyring] if self.keyring else []
        # Not in batch mode: there gpg stops at the first signature that it cannot check.
        options = ["--no-batch", "--no-tty", "--no-auto-key-retrieve", "--trust-model", "always", "--status-fd", "1"]
        return process.tool(["gpg", *options, *where, *words], stdin=b"", ok=None, timeout=60)

    def _judge(self, done: process.Completed, what: str) -> None:
        good = set(_good_keys(done.text))
        if not good:
            raise CommandExecutionError(f"{what} has no good signature: {_reason(done)}")
        missing = [key for key in self.all_of if key not in good]
        if missing:
            raise CommandExecutionError(f"{what} is not signed by {', '.join(missing)}")
        if self.any_of and not good.intersection(self.any_of):
            raise CommandExecutionError(f"{what} is signed by none of {', '.join(self.any_of)}")


def _fingerprints(given: Any) -> tuple[str, ...]:
    listed = given if isinstance(given, list | tuple) else [given] if given else []
    found = tuple(str(one).replace(" ", "").removeprefix("0x").upper() for one in listed)
    for one, plain in zip(listed, found, strict=True):
        if not _FINGERPRINT.fullmatch(plain):
            raise CommandExecutionError(f"{one!r} is no fingerprint of a key (40 hex digits; a key's id is not enough)")
    return found


def _good_keys(status: str) -> Iterator[str]:
    """Yield the fingerprints, the key's own and its primary key's, of each signature that counts."""
    counts = False
    for line in status.splitlines():
        word, *fields = line.removeprefix(_STATUS).split(" ") if line.startswith(_STATUS) else [""]
        if word == "NEWSIG":
            counts = False
        elif word == "GOODSIG":
            counts = True
        elif word in _SPOILT:
            counts = False
        elif word == "VALIDSIG" and counts and fields:
            yield from (fields[0], fields[-1])


def _reason(done: process.Completed) -> str:
    said = [line.removeprefix("gpg: ") for line in process.lines(done.error_text)]
    return said[-1] if said else f"gpg ended with exit code {done.retcode}"
