"""Which master this minion trusts: a fingerprint from its configuration, or the one it met first.

`trust.json` in `pki_dir` maps each master, as the configuration names it, to the fingerprint of its key. It is written
atomically and is on disk before anything that identifies this minion is sent.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from ..common import crypto
from ..common.errors import ConfigError, PinError
from ..common.handshake import CheckPin

log = logging.getLogger(__name__)

FILE = "trust.json"


class Trust:
    """The pins of this minion."""

    def __init__(self, directory: Path, *, fingerprint: str = "", tofu: bool = True) -> None:
        """Read the pins; raises `ConfigError` where the file is damaged or the configured fingerprint is none."""
        self._path = directory / FILE
        self._configured = _checked(fingerprint)
        self._tofu = tofu
        self._pins = _read(self._path)

    def pin(self, master: str) -> str | None:
        """Return the fingerprint that this master must have, or None before the first contact."""
        return self._configured or self._pins.get(master)

    def checker(self, master: str) -> CheckPin:
        """Return what the handshake calls with the key that this master proved to hold."""

        def check(public: bytes, chain: tuple[bytes, ...]) -> None:
            found = crypto.fingerprint(crypto.MASTER, public)
            pinned = self.pin(master)
            if pinned is None:
                self._pin_first(master, found)
            elif pinned != found:
                raise PinError(f"the master {master} has the key {found}, not the pinned {pinned}")

        return check

    def _pin_first(self, master: str, found: str) -> None:
        if not self._tofu:
            raise PinError(
                f"the master {master} has the key {found}, and no key is trusted yet",
                hint="put master_fingerprint into the minion's configuration, or set tofu to true",
            )
        pins = self._pins | {master: found}
        text = json.dumps({"masters": pins}, indent=2, sort_keys=True) + "\n"
        crypto.write_private_file(self._path, text.encode())
        self._pins = pins
        log.warning("first contact with the master %s: its key %s is trusted from now on", master, found)


def _checked(fingerprint: str) -> str:
    if not fingerprint:
        return ""
    try:
        return crypto.fingerprint_text(crypto.fingerprint_bytes(fingerprint))
    except ValueError as error:
        raise ConfigError(str(error), key="master_fingerprint", hint="`ctl-key -F` on the master prints it") from error


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_bytes())["masters"]
        return {str(master): crypto.fingerprint_text(crypto.fingerprint_bytes(pin)) for master, pin in found.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"it cannot be read: {error.strerror}", path=str(path)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            "the trusted keys cannot be read from it: it is damaged",
            path=str(path),
            hint="restore it, or remove it to trust the master's key anew",
        ) from error
