"""Who a program's user wants to be for the master: what its options ask for.

Passwords never come from the command line, where every process could read them: they are asked for, or come from a file
or standard input.
"""

from __future__ import annotations

import getpass
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from ..connection import Pool
from ..credentials import load_token, save_token, token_file
from ..settings import Settings
from .options import Options, UsageError

DEFAULT_METHOD = "pam"
STANDARD_INPUT = "-"


def credentials(options: Options, settings: Settings) -> dict[str, Any]:
    """Return the credentials that the options ask for."""
    if not (options.eauth or options.make_token):
        raise UsageError("--username and --password-file are for an account of --auth", hint="for example: -a pam")
    if not options.make_token and not options.password_file:
        kept = load_token(token_file(), settings.socket, options.eauth, options.username)
        if kept is not None:
            return kept
    account = {
        "eauth": options.eauth or DEFAULT_METHOD,
        "username": options.username or getpass.getuser(),
        "password": "",
    }
    account["password"] = _password(options.password_file, f"Password of {account['username']}: ")
    return _make_token(settings, account) if options.make_token else account


def ask_new_password() -> str:
    """Ask for a password twice."""
    password = _password("" if sys.stdin.isatty() else STANDARD_INPUT, "Password: ")
    if sys.stdin.isatty() and getpass.getpass("The same again: ") != password:
        raise UsageError("the passwords differ")
    return password


def _password(file: str, prompt: str) -> str:
    if file == STANDARD_INPUT:
        password = sys.stdin.readline().rstrip("\r\n")
    elif file:
        text = Path(file).read_text(encoding="utf-8")
        password = text.splitlines()[0] if text else ""
    elif sys.stdin.isatty():
        password = getpass.getpass(prompt)
    else:
        raise UsageError("there is no terminal to ask for a password on", hint="use --password-file FILE (- for stdin)")
    if not password:
        raise UsageError("a password is needed", hint="--password-file FILE, or - for standard input")
    return password


def _make_token(settings: Settings, account: dict[str, Any]) -> dict[str, Any]:
    pool = Pool(settings.socket, account)
    try:
        made = pool.call("token.make")
    finally:
        pool.close()
    path = token_file()
    save_token(path, settings.socket, made)
    until = datetime.fromtimestamp(made["expires_ms"] / 1000).astimezone()
    hours = (made["expires_ms"] / 1000 - time.time()) / 3600
    print(
        f"A token of {made['user']} is in {path}, valid until {until:%Y-%m-%d %H:%M} ({hours:.1f} h).", file=sys.stderr
    )
    return {"token": made["token"]}
