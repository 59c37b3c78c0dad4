"""Secrets: which arguments are, and that nothing shows them whatever type they have and wherever they are."""

from __future__ import annotations

import io
import json
import logging
import sys
import traceback
from typing import Any

import pytest

from ctl.common import arguments, secret
from ctl.common.errors import ArgumentError
from ctl.common.log import Formatter
from ctl.common.secret import MASK, Redactor, Secret, mask_call, mask_named, mask_url, secret_parameters, sounds_secret

CANARY = "c4nary/'\"\\x"


def take(
    name: str,
    password: Secret[str],
    pin: Secret[int | None] = None,
    either: Secret[str] | None = None,
    table: Secret[dict[str, str] | None] = None,
    **more: Any,
) -> None:
    """Take secrets of all kinds."""


def test_annotations_say_which_arguments_are_secrets() -> None:
    assert secret_parameters(take) == {"password", "pin", "either", "table"}
    assert secret_parameters(test_annotations_say_which_arguments_are_secrets) == frozenset()


@pytest.mark.parametrize("value", [CANARY, CANARY.encode(), 123456, 1.5, True, [CANARY], {CANARY: 1}, {"a": [CANARY]}])
def test_a_call_is_shown_without_its_secrets_whatever_their_type(value: Any) -> None:
    args, kwargs = mask_call(take, ["web", value], {"pin": value, "table": value, "api_key": value, "size": 3})
    assert args == ["web", MASK]
    assert kwargs == {"pin": MASK, "table": MASK, "api_key": MASK, "size": 3}


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *[(name, True) for name in ("password", "db_passwd", "api-key", "x.token", "passphrase", "PRIVATE_KEY")],
        *[(name, True) for name in ("password_hash", "client_secret", "pass")],
        *[(name, False) for name in ("compass", "bypass", "keyboard", "tokenize", "passive", "secretary", 3, None)],
    ],
)
def test_names_that_sound_secret(name: Any, is_one: bool) -> None:
    assert sounds_secret(name) is is_one


def test_what_has_no_signature_is_masked_by_names_and_urls() -> None:
    given = {"user": "a", "password": 7, "deep": [{"token": [CANARY]}], "url": f"https://me:{'x' * 9}@host/p", "t": 1}
    shown = mask_named(given)
    assert shown == {
        "user": "a",
        "password": MASK,
        "deep": [{"token": MASK}],
        "url": f"https://me:{MASK}@host/p",
        "t": 1,
    }
    assert mask_url("ssh://git@host/x and a@b: c") == "ssh://git@host/x and a@b: c"


def deep(levels: int) -> Any:
    """Nest a secret."""
    value: Any = {"password": CANARY}
    for _ in range(levels):
        value = [value]
    return value


def test_what_is_too_deep_to_look_at_is_masked() -> None:
    assert CANARY not in repr(mask_named(deep(100)))
    redactor = Redactor()
    redactor.remember(CANARY)
    assert CANARY not in repr(redactor.redact(deep(100)))


@pytest.mark.parametrize("form", [str, repr, json.dumps, lambda text: f"GET /?p={text}", ascii])
def test_texts_are_masked_in_the_forms_that_a_secret_takes_in_them(form: Any) -> None:
    redactor = Redactor()
    redactor.remember(CANARY)
    shown = redactor.redact(f"before {form(CANARY)} after")
    assert "c4nary" not in shown
    assert MASK in shown


def test_data_of_every_type_is_masked() -> None:
    redactor = Redactor()
    redactor.remember([CANARY, 8675309, b"bytes-secret"])
    data = {CANARY: [CANARY, 8675309, 8675309.0], "b": b"a bytes-secret", "t": (CANARY,), "s": {CANARY}, "n": None}
    assert redactor.redact(data) == {
        MASK: [MASK, MASK, 8675309.0],
        "b": f"a {MASK}".encode(),
        "t": (MASK,),
        "s": {MASK},
        "n": None,
    }
    assert redactor.redact([1, True, "plain"]) == [1, True, "plain"]


def test_a_private_key_is_masked_line_by_line_as_a_diff_shows_it() -> None:
    redactor = Redactor()
    redactor.remember("-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIB\nx\n-----END KEY-----\n")
    assert "MC4CAQ" not in redactor.redact("+MC4CAQAwBQYDK2VwBCIEIB\n+x")


def test_of_a_mapping_only_what_is_called_a_secret_is_remembered() -> None:
    redactor = Redactor()
    redactor.remember(
        {"HOME": "/home/web", "DB_PASSWORD": CANARY, "deep": [{"token": "tok-en-x", "host": "localhost"}]}
    )
    redactor.remember(["HOME=/srv/x", "API_TOKEN=from-a-list"])
    text = f"/home/web {CANARY} tok-en-x localhost /srv/x from-a-list"
    assert redactor.redact(text) == f"/home/web {MASK} {MASK} localhost /srv/x {MASK}"


def test_what_is_too_short_to_search_for_is_left_alone_in_texts() -> None:
    redactor = Redactor()
    redactor.remember("root")
    assert redactor.redact("root logs in") == "root logs in"


def test_a_mistake_in_an_argument_does_not_quote_a_secret() -> None:
    with pytest.raises(ArgumentError) as caught:
        arguments.bind(take, ["web"], {"password": [CANARY], "pin": "c4nary", "table": "c4nary"})
    assert "c4nary" not in str(caught.value)
    assert str(caught.value).count(MASK) == 3


def test_a_secret_that_may_be_left_out_may_be_nothing() -> None:
    assert arguments.bind(take, ["web", "x"], {"pin": None, "table": None})[1] == {"pin": None, "table": None}


def test_log_lines_and_tracebacks_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret, "_process", redactor := Redactor())
    monkeypatch.setattr("ctl.common.log.redact", redactor.redact)
    redactor.remember(CANARY)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter("%(message)s"))
    try:
        raise ValueError(CANARY)
    except ValueError:
        record = logging.LogRecord("ctl", logging.ERROR, "x", 1, "with %s", (CANARY,), sys.exc_info())
        assert CANARY in traceback.format_exc()
    handler.emit(record)
    assert "c4nary" not in stream.getvalue()
    assert stream.getvalue().count(MASK) == 2


def test_the_secrets_of_a_configuration_are_its_passwords_and_those_of_its_urls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    redactor = Redactor()
    monkeypatch.setattr(secret, "remember", redactor.remember)
    secret.remember_config(
        {
            "ext_pillar": [{"postgres": {"host": "db.example", "password": "pg-secret"}}],
            "gitfs_remotes": ["https://me:git%2Dsecret@host/x", {"https://you:other-secret@host/y": [{"root": "srv"}]}],
        }
    )
    shown = redactor.redact("pg-secret git%2Dsecret git-secret other-secret db.example host srv")
    assert shown == f"{MASK} {MASK} {MASK} {MASK} db.example host srv"


def test_the_secrets_of_a_call_are_remembered_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    redactor = Redactor()
    monkeypatch.setattr(secret, "remember", redactor.remember)
    secret.remember_call(
        take, ["web-server", "first-secret"], {"pin": 1234567, "api_key": "third-secret", "size": "plain-text"}
    )
    shown = redactor.redact("web-server first-secret 1234567 third-secret plain-text")
    assert shown == f"web-server {MASK} {MASK} {MASK} plain-text"
