"""Keys, their files, fingerprints, and the primitives against published test vectors."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ctl.common import crypto
from ctl.common.errors import ConfigError, SealError, StorageError

CONTEXT = b"ctl1/test\0"


@pytest.fixture
def key() -> crypto.IdentityKey:
    return crypto.IdentityKey(bytes(range(32)))


def test_a_key_signs_under_its_context_only(key: crypto.IdentityKey) -> None:
    signature = key.sign(CONTEXT, b"data")
    assert crypto.verify(key.public, CONTEXT, signature, b"data")
    assert not crypto.verify(key.public, CONTEXT, signature, b"date")
    assert not crypto.verify(key.public, b"ctl1/other\0", signature, b"data")
    assert not crypto.verify(crypto.IdentityKey.generate().public, CONTEXT, signature, b"data")
    assert not crypto.verify(b"short", CONTEXT, signature, b"data")
    assert not crypto.verify(key.public, CONTEXT, b"", b"data")


@pytest.mark.parametrize("context", [b"", b"ctl1/open", b"ctl1/a\0b\0"])
def test_a_context_ends_in_its_only_nul(key: crypto.IdentityKey, context: bytes) -> None:
    """Otherwise the end of a context and the beginning of the data could change places."""
    with pytest.raises(ValueError, match="NUL"):
        key.sign(context, b"data")


def test_a_key_is_private_on_disk_from_its_first_byte(
    key: crypto.IdentityKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "minion.pem"
    modes: list[int] = []
    real = os.fsync

    def watch(descriptor: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    before = os.umask(0)
    try:
        key.save(path)
    finally:
        os.umask(before)
    assert modes[0] == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert crypto.IdentityKey.load(path).public == key.public
    assert os.listdir(tmp_path) == ["minion.pem"]


def test_saving_again_replaces_the_key_at_once(key: crypto.IdentityKey, tmp_path: Path) -> None:
    path = tmp_path / "minion.pem"
    crypto.IdentityKey.generate().save(path)
    key.save(path)
    assert crypto.IdentityKey.load(path).public == key.public


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_reach_is_refused(key: crypto.IdentityKey, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "minion.pem"
    key.save(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        crypto.IdentityKey.load(path)


def test_what_is_not_such_a_key_is_refused(tmp_path: Path) -> None:
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for number, data in enumerate((b"", b"not a key", rsa_key)):
        path = tmp_path / str(number)
        crypto.write_private_file(path, data)
        with pytest.raises(ConfigError, match=str(path)):
            crypto.IdentityKey.load(path)


def test_a_key_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises((ConfigError, StorageError), match="regular"):
        crypto.IdentityKey.load(tmp_path / "fifo")
    with pytest.raises(FileNotFoundError):
        crypto.IdentityKey.load(tmp_path / "missing")


def test_a_key_that_cannot_be_written_leaves_nothing(key: crypto.IdentityKey, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        key.save(tmp_path / "no" / "such" / "folder")
    assert os.listdir(tmp_path) == []


def test_load_or_create_makes_one_key_however_many_start(tmp_path: Path) -> None:
    path = tmp_path / "minion.pem"
    found: list[bytes] = []
    starts = threading.Barrier(6)

    def start() -> None:
        starts.wait()
        found.append(crypto.IdentityKey.load_or_create(path).public)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    assert os.listdir(tmp_path) == ["minion.pem"]


def test_public_keys_travel_as_pem(key: crypto.IdentityKey) -> None:
    text = crypto.public_pem(key.public)
    assert text.startswith("-----BEGIN PUBLIC KEY-----")
    assert crypto.public_from_pem(text) == crypto.public_from_pem(text.encode()) == key.public
    for bad in ("", "x", text.replace("PUBLIC", "PRIVATE"), key.pem()):
        with pytest.raises(ValueError):
            crypto.public_from_pem(bad)


def test_fingerprints_differ_by_role_and_survive_typing(key: crypto.IdentityKey) -> None:
    text = crypto.fingerprint(crypto.MASTER, key.public)
    assert text != crypto.fingerprint(crypto.MINION, key.public)
    digest = crypto.fingerprint_digest(crypto.MASTER, key.public)
    for typed in (text, text.rstrip("="), f"  {text}\n", f"SHA256:{text}"):
        assert crypto.fingerprint_bytes(typed) == digest


@pytest.mark.parametrize("text", ["", "abc", "é" * 44, "*" * 44, "A" * 40, "A" * 48, "12:34:56"])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="fingerprint"):
        crypto.fingerprint_bytes(text)


def test_hkdf_is_that_of_rfc_5869() -> None:
    key = crypto.hkdf_extract(bytes(range(13)), b"\x0b" * 22)
    assert key.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    info = bytes(range(0xF0, 0xFA))
    want = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
    assert crypto.hkdf_expand(key, info).hex() == want


def test_agreement_is_that_of_rfc_7748() -> None:
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    alice_public = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    mine = crypto.Agreement(lambda _: bob)
    assert mine.public.hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    assert mine.exchange(alice_public).hex() == "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"


def test_an_ephemeral_key_is_gone_after_wipe() -> None:
    one, other = crypto.Agreement(os.urandom), crypto.Agreement(os.urandom)
    assert one.exchange(other.public) == other.exchange(one.public)
    one.wipe()
    with pytest.raises(ValueError, match="gone"):
        one.exchange(other.public)


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31), bytes(31)])
def test_a_point_of_low_order_gives_no_secret(point: bytes) -> None:
    with pytest.raises(ValueError):
        crypto.Agreement(os.urandom).exchange(point)


def test_sealed_bytes_open_only_unchanged() -> None:
    key, nonce = os.urandom(32), os.urandom(12)
    sealed = crypto.seal(key, nonce, b"plain", b"ad")
    assert crypto.open_(key, nonce, sealed, b"ad") == b"plain"
    wrong = [
        (os.urandom(32), nonce, sealed, b"ad"),
        (key, bytes(12), sealed, b"ad"),
        (key, nonce, sealed, b"da"),
        (key, nonce, sealed[:-1], b"ad"),
        (key, nonce, sealed + b"\0", b"ad"),
        (key, nonce, b"", b"ad"),
        *((key, nonce, sealed[:n] + bytes([sealed[n] ^ 1]) + sealed[n + 1 :], b"ad") for n in range(len(sealed))),
    ]
    for arguments in wrong:
        with pytest.raises(SealError):
            crypto.open_(*arguments)


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        crypto.Aead(bytes(16))


def test_wipe_overwrites() -> None:
    secret = bytearray(b"secret")
    crypto.wipe(secret)
    assert secret == bytes(6)


def test_a_key_file_takes_the_name_of_another_and_goes(tmp_path: Path) -> None:
    old, new = crypto.IdentityKey.generate(), crypto.IdentityKey.generate()
    old.save(tmp_path / "key.pem")
    new.save(tmp_path / "next.pem")
    crypto.move_private_file(tmp_path / "next.pem", tmp_path / "key.pem")
    assert crypto.IdentityKey.load(tmp_path / "key.pem").public == new.public
    assert [path.name for path in tmp_path.iterdir()] == ["key.pem"]
    for _ in range(2):  # one that is not there is no error
        crypto.remove_private_file(tmp_path / "key.pem")
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_that_cannot_be_moved_or_removed_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be renamed"):
        crypto.move_private_file(tmp_path / "missing", tmp_path / "key.pem")
    (tmp_path / "directory").mkdir()
    with pytest.raises(StorageError, match="cannot be removed"):
        crypto.remove_private_file(tmp_path / "directory")
