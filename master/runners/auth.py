"""Look at tokens, end them, and make hashes of passwords for a file of accounts.

CLI example: `ctl-run auth.list_tokens`
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from ...common.errors import CommandExecutionError
from ..auth_file import SALT_BYTES, make_hash
from ..port import master


def list_tokens() -> dict[str, dict[str, Any]]:
    """List the valid tokens by their names: whose they are, who may use them, and how long.

    CLI example: `ctl-run auth.list_tokens`
    """
    return {row["name"]: _shown(row) for row in master().call("token.list")["tokens"]}


def revoke(name: str = "", account: str = "") -> list[str]:
    """Revoke one token by its name, or all of an account; return the names of those that were.

    CLI example: `ctl-run auth.revoke account=pam:somebody`
    """
    revoked = list(master().call("token.revoke", name=name, account=account)["revoked"])
    if not revoked:
        raise CommandExecutionError("there is no such token", hint="ctl-run auth.list_tokens")
    return revoked


def hash(password: str) -> str:  # the name is the one on the command line
    """Return what stands for a password in the file of accounts (`auth_file`): `name:` and this is a line of it.

    `ctl-run` asks for the password; it must not be on a command line.

    CLI example: `ctl-run auth.hash`
    """
    return make_hash(str(password), os.urandom(SALT_BYTES))


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    moments = {key.removesuffix("_ms"): _moment(row[key]) for key in ("made_ms", "used_ms", "expires_ms")}
    return {"account": f"{row['eauth']}:{row['user']}", "uid": row["uid"], **moments}


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
