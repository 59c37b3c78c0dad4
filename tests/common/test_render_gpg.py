"""What gpg decrypts: values of a file, keys of pillar that the configuration names, values on a command line."""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctl.common.context import Context, use
from ctl.common.errors import CtlError, RenderError
from ctl.common.files import Roots
from ctl.common.loader import load_plugins
from ctl.common.pillar import Pillar
from ctl.common.pillar_secrets import decrypted
from ctl.common.render import Renderer
from ctl.common.render_gpg import Decryption

KEY = Path(__file__).parents[1] / "data" / "sls" / "_keys" / "secret.asc"
SECRET = "hunter2"
GARBLED = "-----BEGIN PGP MESSAGE-----\n\nnothing that gpg can read\n-----END PGP MESSAGE-----"


class Keys:
    """A gpg home of its own, with the key of the corpus."""

    def __init__(self, home: str) -> None:
        self.home = home
        self._gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--no-tty"]
        self.run("--import", str(KEY))

    def run(self, *words: str, given: bytes = b"") -> bytes:
        return subprocess.run([*self._gpg, *words], input=given, check=True, capture_output=True).stdout

    def encrypt(self, text: str | bytes) -> str:
        given = text if isinstance(text, bytes) else text.encode()
        return self.run("--armor", "--trust-model", "always", "-e", "-r", "corpus", given=given).decode().strip()


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    with tempfile.TemporaryDirectory(prefix="keys-") as home:  # a short path: gpg puts a socket there
        try:
            yield Keys(home)
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, capture_output=True)


def _decrypt(keys: Keys, value: Any, **options: Any) -> Any:
    return Decryption(keys.home, "a.sls", **options).of(value)


def test_text_lists_and_mappings(keys: Keys) -> None:
    message = keys.encrypt(f"{SECRET}\n")
    found = _decrypt(keys, {"a": [message, 5, {"b": f"  {message}\n"}], "c": "plain\n"})
    assert found == {"a": [SECRET, 5, {"b": f"  {SECRET}"}], "c": "plain\n"}


def test_several_messages_within_a_text(keys: Keys) -> None:
    text = f"first: {keys.encrypt('one')}\nsecond: {keys.encrypt('two')}\nend\n\n"
    assert _decrypt(keys, text) == "first: one\nsecond: two\nend"


def test_a_secret_need_not_be_text(keys: Keys) -> None:
    assert _decrypt(keys, keys.encrypt(b"\xff\x00")) == b"\xff\x00"


def test_a_message_may_have_its_newlines_as_a_command_line_writes_them(keys: Keys) -> None:
    assert _decrypt(keys, keys.encrypt(SECRET).replace("\n", "\\n")) == SECRET


def test_what_cannot_be_decrypted_is_an_error(keys: Keys) -> None:
    with pytest.raises(RenderError, match=r"a\.sls: gpg could not decrypt a value: .+"):
        _decrypt(keys, [GARBLED])


def test_or_stays_as_it_is_where_that_is_allowed(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert _decrypt(keys, GARBLED, must=False) == GARBLED
    assert "could not decrypt" in caplog.text
    assert "nothing that gpg can read" not in caplog.text


# -- pillar --------------------------------------------------------------------------------------------------------


def _pillar(keys: Keys, tmp_path: Path, text: str, **config: Any) -> dict[str, Any]:
    (tmp_path / "top.sls").write_text("base: {'*': [data]}")
    (tmp_path / "data.sls").write_text(text)
    options = {"gpg_keydir": keys.home, **config}
    return Pillar(Roots({"base": [tmp_path]}), options, {}, "web1").compile()


def test_the_configuration_names_keys_of_pillar_to_decrypt(keys: Keys, tmp_path: Path) -> None:
    message = keys.encrypt(SECRET).replace("\n", "\n      ")
    text = f"a:\n  b:\n    c: |\n      {message}\n  left: |\n      {message}\nl:\n  - x: |\n      {message}\n"
    found = _pillar(keys, tmp_path, text, decrypt_pillar=["a:b", {"l:0:x": None}, {"no:such": "gpg"}])
    assert found["a"]["b"] == {"c": SECRET}
    assert found["a"]["left"].startswith("-----BEGIN PGP MESSAGE-----")
    assert found["l"] == [{"x": SECRET}]
    assert "_errors" not in found


def test_a_key_that_cannot_be_decrypted_is_an_error_of_pillar(keys: Keys, tmp_path: Path) -> None:
    text = "a: |\n  " + GARBLED.replace("\n", "\n  ") + "\n"
    (error,) = _pillar(keys, tmp_path, text, decrypt_pillar=["a"])["_errors"]
    assert error.startswith("the pillar key 'a' cannot be decrypted: gpg could not decrypt a value")


def test_only_allowed_renderers_decrypt(keys: Keys, tmp_path: Path) -> None:
    (error,) = _pillar(keys, tmp_path, "a: 'print(1)'", decrypt_pillar=[{"a": "py"}])["_errors"]
    assert "'py' may not decrypt pillar" in error
    renderer = Renderer(Roots({}), config={}, grains={}, pillar={}, functions={})
    with pytest.raises(CtlError, match="may not decrypt"):
        decrypted({"a": 1}, "jinja", {}, renderer)


class _Master:
    """Stands for the daemon: gives back the pillar that a caller put over it."""

    def pillar(self, *, override: Any = None, **_: Any) -> dict[str, Any]:
        return {"mine": 1, **(override or {})}


def test_values_of_a_command_line_are_decrypted_by_the_minion(keys: Keys) -> None:
    config = {"gpg_keydir": keys.home}
    context = Context("web1", config, {}, {}, Roots({}), _Master())  # type: ignore[arg-type]
    load_plugins(context)
    with use(context):
        found = context.call("pillar.items", pillar={"db": {"password": keys.encrypt(SECRET)}}, pillar_enc="gpg")
        assert found == {"mine": 1, "db": {"password": SECRET}}
        with pytest.raises(CtlError, match="may not decrypt"):
            context.call("pillar.items", pillar={"a": "b"}, pillar_enc="py")
