"""`source_hash` in its documented forms: a digest, `algorithm=digest`, or a file of digests in its many layouts."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..common.errors import CommandExecutionError

ALGORITHMS = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}
_LENGTHS = {name: length for length, name in ALGORITHMS.items()}
_NAMED = re.compile(r"(?i)^(md5|sha1|sha224|sha256|sha384|sha512)\s*[=:]\s*([0-9a-f]+)$")
_DIGEST = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{32,128}(?![0-9A-Za-z])")


@dataclass(frozen=True, slots=True)
class Checksum:
    """A digest and the algorithm that made it."""

    algorithm: str
    digest: str

    def matches(self, path: str | Path) -> bool:
        """Say whether the file at `path` has this digest."""
        with open(path, "rb") as file:
            return hashlib.file_digest(file, self.algorithm).hexdigest() == self.digest


def parse_checksum(text: str) -> Checksum | None:
    """Read `sha256=...` or a digest alone, whose length tells its algorithm; None where the text is neither."""
    text = text.strip()
    named = _NAMED.match(text)
    if named:
        algorithm, digest = named[1].lower(), named[2].lower()
        if len(digest) != _LENGTHS[algorithm]:
            raise CommandExecutionError(
                f"source_hash: a {algorithm} digest has {_LENGTHS[algorithm]} hex digits, not {len(digest)}"
            )
        return Checksum(algorithm, digest)
    if _DIGEST.fullmatch(text) and len(text) in ALGORITHMS:
        return Checksum(ALGORITHMS[len(text)], text.lower())
    return None


def search_checksum(lines: Iterable[str], names: Sequence[str]) -> Checksum | None:
    """Find the digest of one of `names` in a file of digests; the first name that is there wins.

    Knows the layouts of coreutils, BSD and OpenSSL, `.dsc` files, and a file with nothing but one digest.
    """
    found = [(line, checksum) for line in lines if (checksum := _in_line(line))]
    for name in names:
        for line, checksum in found:
            if name and _mentions(line, name):
                return checksum
    alone = {checksum for _, checksum in found}
    return alone.pop() if len(alone) == 1 else None


def _in_line(line: str) -> Checksum | None:
    digests = [word for word in _DIGEST.findall(line) if len(word) in ALGORITHMS]
    if not digests:
        return None
    longest = max(digests, key=len)
    return Checksum(ALGORITHMS[len(longest)], longest.lower())


def _mentions(line: str, name: str) -> bool:
    words = [word.strip("()*,=") for word in re.split(r"[\s()=]+", line)]
    return any(word == name or os.path.basename(word) == name for word in words if word)
