"""The filters about hashes, files and paths that templates have."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def to_bytes(text: Any, encoding: str = "utf-8", errors: str = "strict") -> bytes:
    """Encode a text."""
    return text if isinstance(text, bytes) else str(text).encode(encoding, errors)


def _digest(kind: str) -> Callable[[Any], str]:
    return lambda value: hashlib.new(kind, to_bytes(value), usedforsecurity=False).hexdigest()


def base64_encode(value: Any) -> str:
    """Encode a text in base64."""
    return base64.b64encode(to_bytes(value)).decode()


def base64_decode(value: Any) -> str:
    """Decode a text from base64."""
    return base64.b64decode(to_bytes(value)).decode(errors="replace")


def hmac_compute(text: Any, secret: Any) -> str:
    """Return the HMAC-SHA256 of a text in hex."""
    return hmac.new(to_bytes(secret), to_bytes(text), "sha256").hexdigest()


def hmac_check(text: Any, secret: Any, challenge: str) -> bool:
    """Tell whether `challenge` is the text's HMAC-SHA256 in base64."""
    found = hmac.new(to_bytes(secret), to_bytes(text), "sha256").digest()
    return hmac.compare_digest(found, base64.b64decode(challenge))


def file_hashsum(path: str, form: str = "sha256") -> str:
    """Return the digest of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, form).hexdigest()


def random_hash(size: int = 9999999999, hash_type: str | None = None) -> str:
    """Return the digest of a random number."""
    return hashlib.new(hash_type or "sha512", str(secrets.randbelow(size)).encode()).hexdigest()


def random_str(size: int = 32) -> str:
    """Return a random text."""
    return secrets.token_urlsafe(size)[:size]


def list_files(directory: str) -> list[str]:
    """List a directory and all that is below it."""
    found = {str(directory)}
    for folder, folders, files in os.walk(directory):
        found.update(str(Path(folder, name)) for name in [*folders, *files])
    return sorted(found)


def is_empty(path: str) -> bool:
    """Tell whether a file is empty."""
    try:
        return os.stat(path).st_size == 0
    except OSError:
        return False


def is_binary_file(path: str) -> bool:
    """Tell whether a file holds something other than text."""
    try:
        with Path(path).open("rb") as file:
            return b"\0" in file.read(2048)
    except OSError:
        return False


def path_join(*parts: str) -> str:
    """Join the parts of a path."""
    return os.path.normpath("/".join([parts[0], *(part.lstrip("/") for part in parts[1:])]))


def get_uid(user: str) -> int | None:
    """Return a user's number, or None."""
    import pwd

    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def http_query(url: str, **options: Any) -> Any:
    """Ask a web server through the execution module `http`."""
    from .context import current

    return current().call("http.query", url, **options)


# What looks at the machine, or beyond it: not for templates that a master renders.
OF_THE_MACHINE = frozenset(
    {"file_hashsum", "get_uid", "http_query", "is_bin_file", "is_empty", "is_text_file", "list_files", "which"}
)

FILTERS: dict[str, Callable[..., Any]] = {
    "base64_decode": base64_decode,
    "base64_encode": base64_encode,
    "file_hashsum": file_hashsum,
    "get_uid": get_uid,
    "hmac": hmac_check,
    "hmac_compute": hmac_compute,
    "http_query": http_query,
    "is_bin_file": is_binary_file,
    "is_empty": is_empty,
    "is_text_file": lambda path: Path(path).is_file() and not is_binary_file(path),
    "list_files": list_files,
    "md5": _digest("md5"),
    "path_join": path_join,
    "rand_str": random_hash,
    "random_hash": random_hash,
    "random_str": random_str,
    "sha1": _digest("sha1"),
    "sha256": _digest("sha256"),
    "sha512": _digest("sha512"),
    "which": shutil.which,
}
