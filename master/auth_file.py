"""External authentication by a file of accounts: `name:hash` or `name:hash:group,group` in each line.

Hashes are scrypt's (`$scrypt$ln=15,r=8,p=1$salt$digest`), made by `ctl-run auth.hash`. A name that is not there costs
what a wrong password costs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from ..common.errors import JobError
from .accounts import Account

LOG_N = 15
BLOCK = 8
PARALLEL = 1
SALT_BYTES = 16
DIGEST_BYTES = 32
MAX_LOG_N = 20
MAX_FILE_BYTES = 16 * 1024 * 1024

_HASH = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Hash:
    """A hash taken apart."""

    log_n: int
    block: int
    parallel: int
    salt: bytes
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> _Hash | None:
        """Read a hash; None for what is none."""
        found = _HASH.fullmatch(text)
        if not found or not 1 <= int(found[1]) <= MAX_LOG_N or not int(found[2]) or not int(found[3]):
            return None
        try:
            salt, digest = base64.b64decode(found[4], validate=True), base64.b64decode(found[5], validate=True)
        except binascii.Error:
            return None
        return cls(int(found[1]), int(found[2]), int(found[3]), salt, digest) if len(digest) >= 16 else None

    def matches(self, password: str) -> bool:
        """Say whether a password is the right one."""
        made = _scrypt(password, self.salt, self.log_n, self.block, self.parallel, len(self.digest))
        return hmac.compare_digest(made, self.digest)


# for names that are not there: it costs the same, and no password is right for it but by breaking scrypt
_NOBODY = _Hash(LOG_N, BLOCK, PARALLEL, bytes(SALT_BYTES), bytes(DIGEST_BYTES))


def make_hash(password: str, salt: bytes) -> str:
    """Return what stands for a password in the file."""
    digest = _scrypt(password, salt, LOG_N, BLOCK, PARALLEL, DIGEST_BYTES)
    encoded = [base64.b64encode(part).decode() for part in (salt, digest)]
    return f"$scrypt$ln={LOG_N},r={BLOCK},p={PARALLEL}${encoded[0]}${encoded[1]}"


def _scrypt(password: str, salt: bytes, log_n: int, block: int, parallel: int, length: int) -> bytes:
    memory = 128 * block * (2**log_n + parallel + 2) + 1024 * 1024
    return hashlib.scrypt(password.encode(), salt=salt, n=2**log_n, r=block, p=parallel, maxmem=memory, dklen=length)


class FileMethod:
    """The accounts of one file, which is read anew each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self, user: str, password: str) -> Account | None:
        """Return the account that this password is right for."""
        account, hashed = self._find(user)
        good = (hashed or _NOBODY).matches(password)
        return account if good and hashed is not None else None

    def find(self, user: str) -> Account | None:
        """Return an account that is still there."""
        account, hashed = self._find(user)
        return account if hashed is not None else None

    def _find(self, user: str) -> tuple[Account | None, _Hash | None]:
        for line in self._read().splitlines():
            name, _, rest = line.partition(":")
            if name == user and not line.startswith("#"):
                hashed, _, groups = rest.partition(":")
                # a new password ends the tokens that the old one made
                stamp = hashlib.sha256(hashed.encode()).hexdigest()
                names = tuple(group.strip() for group in groups.split(",") if group.strip())
                return Account(user, names, stamp), _Hash.parse(hashed.strip())
        return None, None

    def _read(self) -> str:
        try:
            with self._path.open("rb") as file:
                info = os.fstat(file.fileno())
                if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or info.st_uid not in (0, os.geteuid()):
                    raise JobError(f"others can write the accounts in {self._path}", hint=f"chmod go-w {self._path}")
                return file.read(MAX_FILE_BYTES).decode("utf-8", "replace")
        except OSError as error:
            raise JobError(f"the accounts in {self._path} cannot be read: {error.strerror}") from error
