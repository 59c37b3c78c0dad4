"""Random texts, numbers and password hashes."""

from __future__ import annotations

import base64
import hashlib
import secrets
import string
from random import Random

from ..common.context import current
from ..common.errors import CommandExecutionError

__func_alias__ = {"hash_": "hash"}

MAX_LENGTH = 1_000_000


def hash_(value: str, algorithm: str = "sha512") -> str:
    """Return the hash of a text in hex digits.

    CLI example: `ctl '*' random.hash 'I am a string' md5`
    """
    try:
        return hashlib.new(algorithm, str(value).encode(), usedforsecurity=False).hexdigest()
    except (ValueError, TypeError):
        raise CommandExecutionError(f"there is no hash {algorithm!r} (such as sha256, sha512 or md5)") from None


def str_encode(value: str, encoder: str = "base64") -> str:
    """Return a text encoded: `base64`, `hex`, `rot13`.

    CLI example: `ctl '*' random.str_encode 'I am a new string' base64`
    """
    import codecs

    if encoder == "base64":
        return base64.encodebytes(value.encode()).decode("ascii")
    if encoder == "hex":
        return value.encode().hex()
    try:
        encoded: str | bytes = codecs.encode(value, encoder)
    except (LookupError, TypeError):
        raise CommandExecutionError(f"there is no encoder {encoder!r} (such as base64, hex or rot13)") from None
    return encoded if isinstance(encoded, str) else encoded.decode("latin-1")


def get_str(
    length: int = 20,
    chars: str | None = None,
    lowercase: bool = True,
    uppercase: bool = True,
    digits: bool = True,
    punctuation: bool = True,
    whitespace: bool = False,
    printable: bool = False,
) -> str:
    """Return a random text, fit for a password: of `chars`, or of the kinds of characters that are left on.

    CLI example: `ctl '*' random.get_str 32 punctuation=False`
    """
    if not 1 <= length <= MAX_LENGTH:
        raise CommandExecutionError(f"a length of {length} is not between 1 and {MAX_LENGTH}")
    kinds = (
        (lowercase, string.ascii_lowercase),
        (uppercase, string.ascii_uppercase),
        (digits, string.digits),
        (punctuation, string.punctuation),
        (whitespace, string.whitespace),
        (printable, string.printable),
    )
    alphabet = chars or "".join(sorted({letter for wanted, letters in kinds if wanted for letter in letters}))
    if not alphabet:
        raise CommandExecutionError("no kind of character is left to choose from")
    return "".join(secrets.choice(alphabet) for _ in range(length))


def shadow_hash(crypt_salt: str | None = None, password: str | None = None, algorithm: str = "sha512") -> str:
    """Return the hash of a password for `/etc/shadow`; of a random one where none is given.

    CLI example: `ctl '*' random.shadow_hash 'My5alT' 'MyP@asswd' sha512`
    """
    return str(current().call("shadow.gen_password", password or get_str(), crypt_salt, algorithm))


def rand_int(start: int = 1, end: int = 10, seed: str | int | None = None) -> int:
    """Return a whole number between `start` and `end`, both included; always the same for a `seed`.

    CLI example: `ctl '*' random.rand_int 1 10`
    """
    if start > end:
        raise CommandExecutionError(f"{start} is greater than {end}")
    if seed is None:
        return start + secrets.randbelow(end - start + 1)
    return Random(seed).randint(start, end)  # noqa: S311  # the same for a seed is what is asked for


def seed(range: int = 10, hash: str | None = None) -> int:
    """Return a number below `range` that is always the same for a text; the minion's id, where none is given.

    CLI example: `ctl '*' random.seed 10 hash=something`
    """
    return Random(current().id if hash is None else hash).randrange(range)  # noqa: S311  # nothing secret
