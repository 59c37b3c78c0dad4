"""Cryptographic primitives and key files; the only importer of `cryptography`.

Everything the protocol uses is here under the protocol's names: Ed25519 identities that sign only under a context,
X25519 agreement, HKDF with SHA-256, AES-256-GCM. Randomness comes in as a callable, so that tests and test vectors can
decide it. What the bytes mean is the business of `handshake`, `session` and `publication`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .errors import ConfigError, SealError, StorageError

Random = Callable[[int], bytes]

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
TAG_BYTES: Final = 16
DIGEST_BYTES: Final = 32

MASTER: Final = 1
MINION: Final = 2

CONTEXT_HANDSHAKE_MASTER: Final = b"ctl1/handshake/master\0"
CONTEXT_HANDSHAKE_MINION: Final = b"ctl1/handshake/minion\0"
CONTEXT_PUBLICATION: Final = b"ctl1/publication\0"
CONTEXT_ROTATE: Final = b"ctl1/rotate\0"

_MAX_KEY_FILE_BYTES: Final = 16384
_END_OF_PRIVATE: Final = b"-----END PRIVATE KEY-----"


class SigningKey:
    """An Ed25519 private key that lives in memory only; `public` is its 32 public bytes."""

    __slots__ = ("_private", "public")

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public: bytes = self._private.public_key().public_bytes_raw()

    def sign(self, context: bytes, data: bytes) -> bytes:
        """Return the signature over `context` and `data`; every context ends in NUL and belongs to one use."""
        return self._private.sign(_under(context, data))


class IdentityKey(SigningKey):
    """The identity of a master or a minion: an Ed25519 key that is kept in a file only its owner can read."""

    __slots__ = ()

    @classmethod
    def generate(cls, random: Random = os.urandom) -> IdentityKey:
        """Make a new identity."""
        return cls(random(KEY_BYTES))

    @classmethod
    def load(cls, path: Path) -> IdentityKey:
        """Read an identity from its PEM file; refuse one that other users can read or write."""
        data = _read_private_file(path)
        try:
            private = serialization.load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"not a private key in PEM: {error}", path=str(path)) from None
        if not isinstance(private, Ed25519PrivateKey):
            raise ConfigError("the private key is not an Ed25519 key", path=str(path))
        key = cls(private.private_bytes_raw())
        # any 32 bytes are a key, so it takes the public half beside it to see that one of them changed
        if (beside := data.partition(_END_OF_PRIVATE)[2].strip()) and beside != public_pem(key.public).encode().strip():
            raise ConfigError("the two halves of the key do not belong together: the file is damaged", path=str(path))
        return key

    @classmethod
    def load_or_create(cls, path: Path, random: Random = os.urandom) -> IdentityKey:
        """Read the identity at `path`, or make it there; two that start at once end with the same key."""
        with contextlib.suppress(FileNotFoundError):
            return cls.load(path)
        key = cls.generate(random)
        with contextlib.suppress(FileExistsError):
            write_private_file(path, key.pem(), replace=False)
        return cls.load(path)

    def save(self, path: Path) -> None:
        """Write the key to `path` as PEM (PKCS 8), mode 0600 from the first byte, durably and at once."""
        write_private_file(path, self.pem())

    def pem(self) -> bytes:
        """Return the private key as PEM (PKCS 8, not encrypted), and the public one after it."""
        private = self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private + public_pem(self.public).encode()


class VerifyingKey:
    """An Ed25519 public key made ready once, for a caller that verifies many signatures with it."""

    __slots__ = ("_key", "public")

    def __init__(self, public: bytes) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(public)
        self.public = public

    def verify(self, context: bytes, signature: bytes, data: bytes) -> bool:
        """Say whether `signature` is this key's over `context` and `data`."""
        try:
            self._key.verify(signature, _under(context, data))
        except InvalidSignature:
            return False
        return True


def verify(public: bytes, context: bytes, signature: bytes, data: bytes) -> bool:
    """Say whether `signature` is that of the key `public` over `context` and `data`."""
    try:
        return VerifyingKey(public).verify(context, signature, data)
    except ValueError:
        return False


def _under(context: bytes, data: bytes) -> bytes:
    if not context.endswith(b"\0") or context.count(b"\0") != 1:
        raise ValueError("a signature's context ends in its only NUL")
    return context + data


def fingerprint(role: int, public: bytes) -> str:
    """Return the fingerprint of a public key in its role (`MASTER` or `MINION`): base64 of a SHA-256."""
    return fingerprint_text(fingerprint_digest(role, public))


def fingerprint_digest(role: int, public: bytes) -> bytes:
    """Return the 32 bytes that a fingerprint is the text of."""
    return hashlib.sha256(b"ctl1 fp" + bytes([role]) + public).digest()


def fingerprint_text(digest: bytes) -> str:
    """Return the text of a fingerprint's 32 bytes."""
    return base64.b64encode(digest).decode("ascii")


def fingerprint_bytes(text: str) -> bytes:
    """Return the 32 bytes of a fingerprint as a person typed it (padding may be missing); ValueError if it is none."""
    bare = text.strip().removeprefix("SHA256:").rstrip("=")
    try:
        found = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError:
        found = b""
    if len(found) != DIGEST_BYTES:
        raise ValueError(f"not a key fingerprint (44 characters of base64): {text!r}")
    return found


def public_pem(public: bytes) -> str:
    """Return an Ed25519 public key as PEM text."""
    key = Ed25519PublicKey.from_public_bytes(public)
    encoded = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded.decode("ascii")


def public_from_pem(text: str | bytes) -> bytes:
    """Return the 32 bytes of an Ed25519 public key in PEM; ValueError if it is something else."""
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"not a public key in PEM: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("the public key is not an Ed25519 key")
    return key.public_bytes_raw()


class Agreement:
    """One side's ephemeral X25519 key: give `public` away, `exchange` once with the peer's, then `wipe`."""

    __slots__ = ("_private", "public")

    def __init__(self, random: Random) -> None:
        private = X25519PrivateKey.from_private_bytes(random(KEY_BYTES))
        self._private: X25519PrivateKey | None = private
        self.public: bytes = private.public_key().public_bytes_raw()

    def exchange(self, public: bytes) -> bytes:
        """Return the shared secret with the peer's `public`; ValueError for a point that gives none."""
        if self._private is None:
            raise ValueError("the ephemeral key is gone")
        return self._private.exchange(X25519PublicKey.from_public_bytes(public))

    def wipe(self) -> None:
        """Forget the private half (the library clears the memory when its object goes)."""
        self._private = None


class Aead:
    """AES-256-GCM under one key, made ready once for a session or an epoch."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"an AES-256 key has {KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)

    def seal(self, nonce: bytes, plain: bytes, ad: bytes) -> bytes:
        """Encrypt and authenticate `plain` together with `ad`."""
        return self._cipher.encrypt(nonce, plain, ad)

    def open(self, nonce: bytes, sealed: bytes | memoryview, ad: bytes) -> bytes:
        """Return what was sealed; raise SealError where the bytes, the key, the nonce or `ad` differ."""
        try:
            return self._cipher.decrypt(nonce, sealed, ad)
        except (InvalidTag, ValueError):
            raise SealError("an encrypted frame does not open") from None


def seal(key: bytes, nonce: bytes, plain: bytes, ad: bytes) -> bytes:
    """Encrypt `plain` under `key`; for keys used once."""
    return Aead(key).seal(nonce, plain, ad)


def open_(key: bytes, nonce: bytes, sealed: bytes, ad: bytes) -> bytes:
    """Return what `seal` sealed; raise SealError where anything differs."""
    return Aead(key).open(nonce, sealed, ad)


def sha256(data: bytes) -> bytes:
    """Return the SHA-256 of `data`."""
    return hashlib.sha256(data).digest()


def hkdf_extract(key: bytes, material: bytes) -> bytes:
    """HKDF-Extract with SHA-256: `key` is the salt."""
    return hmac.digest(key, material, "sha256")


def hkdf_expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand with SHA-256 to one block of 32 bytes."""
    return hmac.digest(key, info + b"\x01", "sha256")


def mac(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256."""
    return hmac.digest(key, data, "sha256")


def same(left: bytes, right: bytes) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(left, right)


def wipe(secret: bytearray) -> None:
    """Overwrite a secret in place (Python's own `bytes` cannot be; keep what must go in a bytearray)."""
    secret[:] = bytes(len(secret))


def write_private_file(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write `data` to `path` so that no other user can ever read it and a crash leaves the old file or the new one.

    The file is new (`O_EXCL`) and has mode 0600 before its first byte, reaches the disk, and only then gets its name.
    With `replace=False` a file that exists stays, and FileExistsError says so.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(6).hex()}")
    try:
        _write_new_file(temporary, data)
        if replace:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)
            os.unlink(temporary)
        _sync_directory(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise StorageError(f"the key file cannot be written: {error.strerror}", path=str(path)) from error
    finally:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(temporary)


def move_private_file(source: Path, target: Path) -> None:
    """Give a key file the name of another, which is gone then; at once, and durably."""
    try:
        os.replace(source, target)
        _sync_directory(target.parent)
    except OSError as error:
        raise StorageError(f"the key file cannot be renamed: {error.strerror}", path=str(target)) from error


def remove_private_file(path: Path) -> None:
    """Remove a key file, durably; one that is not there is no error."""
    try:
        path.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except OSError as error:
        raise StorageError(f"the key file cannot be removed: {error.strerror}", path=str(path)) from error


def _write_new_file(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb", buffering=0) as file:
        os.fchmod(descriptor, 0o600)
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_private_file(path: Path) -> bytes:
    """Read a key file; the checks are made on the open file, so nobody can swap it in between."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(f"the key file cannot be read: {error.strerror}", path=str(path)) from error
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError("the key file is not a regular file", path=str(path))
        if status.st_mode & 0o077:
            mode = f"{stat.S_IMODE(status.st_mode):04o}"
            raise ConfigError(f"other users can reach this private key (mode {mode})", path=str(path), hint="chmod 600")
        return file.read(_MAX_KEY_FILE_BYTES)
