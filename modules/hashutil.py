"""Hashes and encodings of texts and files."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from pathlib import Path

from ..common.errors import CommandExecutionError
from ._file_find import file_digest
from ._file_path import absolute, doing


def digest(instr: str, checksum: str = "md5") -> str:
    """Return the hash of a text in hex digits.

    CLI example: `ctl '*' hashutil.digest 'get salted' checksum=sha256`
    """
    try:
        return hashlib.new(checksum, _bytes(instr), usedforsecurity=False).hexdigest()
    except ValueError:
        raise CommandExecutionError(f"there is no hash {checksum!r} (such as sha256, sha512 or md5)") from None


def digest_file(infile: str, checksum: str = "md5") -> str:
    """Return the hash of a file of the minion in hex digits.

    CLI example: `ctl '*' hashutil.digest_file /etc/passwd checksum=sha256`
    """
    return file_digest(absolute(infile), checksum)


def md5_digest(instr: str) -> str:
    """Return the MD5 hash of a text.

    CLI example: `ctl '*' hashutil.md5_digest 'get salted'`
    """
    return digest(instr, "md5")


def sha256_digest(instr: str) -> str:
    """Return the SHA-256 hash of a text.

    CLI example: `ctl '*' hashutil.sha256_digest 'get salted'`
    """
    return digest(instr, "sha256")


def sha512_digest(instr: str) -> str:
    """Return the SHA-512 hash of a text.

    CLI example: `ctl '*' hashutil.sha512_digest 'get salted'`
    """
    return digest(instr, "sha512")


def base64_b64encode(instr: str) -> str:
    """Return a text in base64, on one line.

    CLI example: `ctl '*' hashutil.base64_b64encode 'get salted'`
    """
    return base64.b64encode(_bytes(instr)).decode("ascii")


def base64_b64decode(instr: str) -> str | bytes:
    """Return what a base64 text stands for: a text, or bytes where it is none.

    CLI example: `ctl '*' hashutil.base64_b64decode 'Z2V0IHNhbHRlZA=='`
    """
    try:
        data = base64.b64decode(_bytes(instr))
    except binascii.Error as error:
        raise CommandExecutionError(f"this is no base64: {error}") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def base64_encodestring(instr: str) -> str:
    """Return a text in base64, in lines.

    CLI example: `ctl '*' hashutil.base64_encodestring 'get salted'`
    """
    return base64.encodebytes(_bytes(instr)).decode("ascii")


def base64_decodestring(instr: str) -> str | bytes:
    """Return what a base64 text in lines stands for.

    CLI example: `ctl '*' hashutil.base64_decodestring instr='Z2V0IHNhbHRlZAo='`
    """
    return base64_b64decode(instr)


def base64_encodefile(fname: str) -> str:
    """Return a file of the minion in base64, in lines.

    CLI example: `ctl '*' hashutil.base64_encodefile /path/to/binary_file`
    """
    path = absolute(fname)
    with doing("read", path):
        return base64.encodebytes(Path(path).read_bytes()).decode("ascii")


def base64_decodefile(instr: str, outfile: str) -> bool:
    """Write what a base64 text stands for to a file of the minion.

    CLI example: `ctl '*' hashutil.base64_decodefile instr='Z2V0IHNhbHRlZAo=' outfile='/path/to/binary_file'`
    """
    from ..common.atomic import atomic_write

    path = absolute(outfile)
    data = base64_b64decode(instr)
    with doing("write", path):
        atomic_write(path, _bytes(data), follow=True)
    return True


def hmac_signature(string: str, shared_secret: str, challenge_hmac: str) -> bool:
    """Say whether a text has this HMAC-SHA256 with a secret; the HMAC is written in base64.

    CLI example: `ctl '*' hashutil.hmac_signature 'get salted' 'shared secret' 'eBWf9bstXg…='`
    """
    made = hmac.new(_bytes(shared_secret), _bytes(string), hashlib.sha256).digest()
    try:
        return hmac.compare_digest(made, base64.b64decode(challenge_hmac))
    except binascii.Error:
        return False


def hmac_compute(string: str, shared_secret: str) -> str:
    """Return the HMAC-SHA256 of a text with a secret, in hex digits.

    CLI example: `ctl '*' hashutil.hmac_compute 'get salted' 'shared secret'`
    """
    return hmac.new(_bytes(shared_secret), _bytes(string), hashlib.sha256).hexdigest()


def github_signature(string: str, shared_secret: str, challenge_hmac: str) -> bool:
    """Say whether a text has this HMAC as GitHub writes it: `sha1=` and hex digits.

    CLI example: `ctl '*' hashutil.github_signature '{"ref": "x"}' 'shared secret' 'sha1=bc6550fc…'`
    """
    form, _, digits = challenge_hmac.partition("=")
    if form not in ("sha1", "sha256"):
        return False
    return hmac.compare_digest(hmac.new(_bytes(shared_secret), _bytes(string), form).hexdigest(), digits)


def _bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8") if isinstance(value, str) else value
