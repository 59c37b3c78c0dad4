"""Fingerprints of the keys that this minion knows: its own and its master's."""

from __future__ import annotations

import json
from pathlib import Path

from ..common.context import current
from ..common.errors import CommandExecutionError


def finger() -> str:
    """Return the fingerprint of this minion's own key, to compare with what `ctl-key -F` shows on the master.

    CLI Example: ctl-call --local key.finger
    """
    from ..common import crypto  # large, and only this function needs it

    path = Path(current().config["pki_dir"]) / "minion.pem"
    if not path.exists():
        raise CommandExecutionError(f"this minion has no key yet: there is no {path}", hint="start ctl-minion once")
    return crypto.fingerprint(crypto.MINION, crypto.IdentityKey.load(path).public)


def finger_master() -> dict[str, str]:
    """Return the fingerprints of the masters that this minion has pinned, by address.

    CLI Example: ctl '*' key.finger_master
    """
    path = Path(current().config["pki_dir"]) / "trust.json"
    pins: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["masters"] if path.exists() else {}
    return pins
