"""Enrolment tokens: what an administrator puts on a machine so that its key is accepted at the first contact.

The text holds a name, a secret and, where it is known, the fingerprint of the master that made it. The secret never
travels: the two sides prove it to each other by the key that is derived from it.
"""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import crypto
from .errors import ConfigError
from .handshake import token_key

ID_BYTES: Final = 16
SECRET_BYTES: Final = 32
MAX_FILE_BYTES: Final = 4096
PREFIX: Final = "ctl1-"


@dataclass(frozen=True, slots=True)
class EnrolToken:
    """One token; `master` is the fingerprint of its master as text, or empty."""

    id: bytes
    secret: bytes
    master: str = ""

    @classmethod
    def create(cls, random: crypto.Random, master: str = "") -> EnrolToken:
        """Make a new one."""
        return cls(random(ID_BYTES), random(SECRET_BYTES), master)

    @classmethod
    def parse(cls, text: str) -> EnrolToken:
        """Read a token's text; ValueError if it is none."""
        bare = text.strip()
        try:
            data = base64.b64decode(_padded(bare.removeprefix(PREFIX)), altchars=b"-_", validate=True)
        except ValueError:
            data = b""
        sizes = (ID_BYTES + SECRET_BYTES, ID_BYTES + SECRET_BYTES + crypto.DIGEST_BYTES)
        if not bare.startswith(PREFIX) or len(data) not in sizes:
            raise ValueError("not an enrolment token")
        fingerprint = data[ID_BYTES + SECRET_BYTES :]
        return cls(
            data[:ID_BYTES],
            data[ID_BYTES : ID_BYTES + SECRET_BYTES],
            crypto.fingerprint_text(fingerprint) if fingerprint else "",
        )

    def text(self) -> str:
        """Return what `parse` reads: one line without blanks."""
        fingerprint = crypto.fingerprint_bytes(self.master) if self.master else b""
        data = base64.urlsafe_b64encode(self.id + self.secret + fingerprint)
        return PREFIX + data.decode("ascii").rstrip("=")

    @property
    def key(self) -> bytes:
        """The key that both sides prove the token by."""
        return token_key(self.id, self.secret)


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)


def read_token(path: Path) -> EnrolToken | None:
    """Read the token in a file that only its owner can read; None where there is no file. Raises `ConfigError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"the enrolment token cannot be read: {error.strerror}", path=str(path)) from error
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise ConfigError("other users can read this enrolment token", path=str(path), hint="chmod 600")
        data = file.read(MAX_FILE_BYTES)
    try:
        return EnrolToken.parse(data.decode("ascii"))
    except ValueError:
        raise ConfigError(
            "this is no enrolment token", path=str(path), hint="`ctl-key token create` makes one"
        ) from None
