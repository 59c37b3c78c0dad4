"""`salt.utils.hashutils`: digests."""

from __future__ import annotations

import base64
import hashlib


def get_hash(path: str, form: str = "sha256", chunk_size: int = 65536) -> str:
    """Return the digest of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, form).hexdigest()


def sha256_digest(value: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(value.encode()).hexdigest()


def sha512_digest(value: str) -> str:
    """Return the SHA-512 of a text."""
    return hashlib.sha512(value.encode()).hexdigest()


def md5_digest(value: str) -> str:
    """Return the MD5 of a text."""
    return hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()


def base64_b64encode(value: str) -> str:
    """Write a text as Base64."""
    return base64.b64encode(value.encode()).decode()


def base64_b64decode(value: str) -> str:
    """Read Base64 as a text."""
    return base64.b64decode(value).decode()
