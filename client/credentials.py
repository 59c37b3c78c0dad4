"""Credentials of whoever does not want to be who the kernel says: accounts with passwords, tokens, the file of a token.

A token is kept in the user's home in a file that nobody else can read, with the master's socket that it is for.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..common.errors import AuthenticationError, CtlError

KEYS = ("eauth", "username", "password", "token")
FILE_VARIABLE = "CTL_TOKEN_FILE"
DEFAULT_FILE = "~/.ctl_token"
MAX_FILE_BYTES = 4096


def of_keywords(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the credentials among keyword arguments (`token`, or `eauth`, `username` and `password`); None without.

    Raises `AuthenticationError` where some are missing.
    """
    found = {key: given[key] for key in KEYS if given.get(key) is not None}
    if not found:
        return None
    if "token" in found:
        return {"token": found["token"]}
    if missing := [key for key in ("eauth", "username", "password") if not found.get(key)]:
        raise AuthenticationError(f"credentials without {' and '.join(missing)}", hint="or give a token")
    return found


def token_file() -> Path:
    """Return where this user's token is kept."""
    return Path(os.environ.get(FILE_VARIABLE) or DEFAULT_FILE).expanduser()


def save_token(path: Path, socket: Path, made: Mapping[str, Any]) -> None:
    """Keep a token that the master made, for its owner alone."""
    kept = {key: made[key] for key in ("token", "eauth", "user", "expires_ms")}
    from ..common.atomic import atomic_write  # only who makes a token writes

    atomic_write(path, json.dumps({**kept, "socket": str(socket)}).encode(), mode=0o600)


def load_token(path: Path, socket: Path, eauth: str, username: str) -> dict[str, Any] | None:
    """Return the credentials kept in a file, where they are for this master and account, and not too old.

    `eauth` and `username` may be empty for any. Raises `AuthenticationError` for a file that others can read.
    """
    kept = _read(path)
    if kept is None or kept.get("socket") != str(socket) or float(kept.get("expires_ms", 0)) <= time.time() * 1000:
        return None
    if (eauth and kept.get("eauth") != eauth) or (username and kept.get("user") != username):
        return None
    return {"token": str(kept.get("token"))}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CtlError(f"the token in {path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o077:
            raise AuthenticationError(f"others can reach the token in {path}", hint=f"rm {path}, and make another (-T)")
        try:
            found = json.loads(file.read(MAX_FILE_BYTES))
        except ValueError:
            return None
    return found if isinstance(found, dict) else None
