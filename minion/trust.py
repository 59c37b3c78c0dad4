"""Which master this minion trusts: a fingerprint from its configuration, one it was told, or the one it met first.

`trust.json` in `pki_dir` maps each master, as the configuration names it, to the fingerprint of its key, and each
fingerprint that a master has left behind to the one that followed. It is written atomically and is on disk before
anything that identifies this minion is sent; a change by `ctl-minion trust` is noticed at the next handshake.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..common import crash, crypto
from ..common.config import MinionConfig
from ..common.enrol_token import EnrolToken, read_token
from ..common.errors import ConfigError, PinError
from ..common.handshake import CheckPin

log = logging.getLogger(__name__)

FILE = "trust.json"
MAX_SUCCESSORS = 64


class Pins(NamedTuple):
    """What the file holds: the fingerprint of each master, and which fingerprint followed which."""

    masters: dict[str, str]
    successors: dict[str, str]


class Trust:
    """The pins of this minion."""

    def __init__(
        self, directory: Path, *, fingerprint: str = "", tofu: bool = True, token_file: Path | None = None
    ) -> None:
        """Read the pins; raises `ConfigError` where a file is damaged or the configured fingerprint is none."""
        self._path = directory / FILE
        self._configured = _checked(fingerprint)
        self._tofu = tofu
        self._seen: tuple[int, ...] = ()
        self._pins = Pins({}, {})
        self._token = read_token(token_file) if token_file is not None else None
        self._missing = str(token_file) if token_file is not None and self._token is None else ""
        self._renew()

    @classmethod
    def of(cls, config: MinionConfig) -> Trust:
        """Read the pins of the minion that is configured so."""
        return cls(
            config.pki_dir,
            fingerprint=config.master_fingerprint,
            tofu=config.tofu,
            token_file=config.enroll_token_file,
        )

    @property
    def configured(self) -> str:
        """The fingerprint that the configuration gives; it wins over every pin."""
        return self._configured

    def masters(self) -> dict[str, str]:
        """Return the pinned fingerprint of each master."""
        self._renew()
        return dict(self._pins.masters)

    def pin(self, master: str) -> str | None:
        """Return the fingerprint that this master must have, or None before the first contact."""
        self._renew()
        known = self._configured or self._pins.masters.get(master)
        return known or (self._token.master if self._token is not None and self._token_is_new() else None) or None

    def token(self, master: str) -> EnrolToken | None:
        """Return the enrolment token to show to a master: to the one that made it, and where it may be that one."""
        if self._token is None:
            return None
        pinned = self.pin(master)
        ours = pinned is None or not self._token.master or self.successor(self._token.master) == pinned
        return self._token if ours else None

    def _token_is_new(self) -> bool:
        """Whether the token's own master has not been met yet."""
        assert self._token is not None
        return self.successor(self._token.master) not in self._pins.masters.values()

    def successor(self, fingerprint: str) -> str:
        """Return the fingerprint that follows one; itself where none does."""
        found = fingerprint
        for _ in range(MAX_SUCCESSORS):
            if (after := self._pins.successors.get(found)) is None:
                break
            found = after
        return found

    def checker(self, master: str) -> CheckPin:
        """Return what the handshake calls with the key that this master proved to hold.

        Where it gives a chain, it has found that it leads from the pinned key to this one.
        """

        def check(public: bytes, chain: tuple[bytes, ...]) -> None:
            found = crypto.fingerprint(crypto.MASTER, public)
            pinned = self.pin(master)
            if pinned is None:
                self._pin_first(master, found)
            elif pinned != found and not chain:
                raise PinError(f"the master {master} has the key {found}, not the pinned {pinned}")
            elif pinned != found:
                self._pin_next(master, pinned, found)
            elif not self._configured and master not in self._pins.masters:
                self._pin(master, found)
                log.warning("the master %s has the key %s that the enrolment token names", master, found)

        return check

    def _pin_first(self, master: str, found: str) -> None:
        if self._missing:
            raise PinError(
                f"the master {master} has the key {found}, and there is no enrolment token in {self._missing}",
                hint="put it there and start the minion anew, or leave enroll_token_file out",
            )
        if self._token is None and not self._tofu:
            raise PinError(
                f"the master {master} has the key {found}, and no key is trusted yet",
                hint="put master_fingerprint into the minion's configuration, or set tofu to true",
            )
        self._pin(master, found)
        why = ", since it knows the enrolment token" if self._token is not None else ""
        log.warning("first contact with the master %s: its key %s is trusted from now on%s", master, found, why)

    def _pin(self, master: str, found: str) -> None:
        self._write(Pins(self._pins.masters | {master: found}, self._pins.successors))

    def _pin_next(self, master: str, pinned: str, found: str) -> None:
        crash.at("minion.trust.before_pin")
        masters = {name: found if pin == pinned else pin for name, pin in self._pins.masters.items()}
        if not self._configured:
            masters[master] = found
        successors = {**self._pins.successors, pinned: found}
        self._write(Pins(masters, dict(list(successors.items())[-MAX_SUCCESSORS:])))
        crash.at("minion.trust.after_pin")
        log.warning("the master %s has a new key, signed by the one before: %s follows %s", master, found, pinned)
        if self._configured:
            log.warning("master_fingerprint in this minion's configuration still names %s", pinned)

    def reset(self, masters: Iterable[str], fingerprint: str = "") -> None:
        """Forget every pin or, with a fingerprint, pin these masters to it."""
        text = _checked(fingerprint)
        self._write(Pins(dict.fromkeys(masters, text) if text else {}, self._pins.successors))

    def _write(self, pins: Pins) -> None:
        trusted = frozenset(pins.masters.values())  # nothing follows a key that is trusted (again)
        pins = Pins(pins.masters, {old: new for old, new in pins.successors.items() if old not in trusted})
        found = {name: value for name, value in pins._asdict().items() if value or name == "masters"}
        text = json.dumps(found, indent=2, sort_keys=True) + "\n"
        crypto.write_private_file(self._path, text.encode())
        self._pins, self._seen = pins, _stamp(self._path)

    def _renew(self) -> None:
        """Read the file again where it is another one than before."""
        stamp = _stamp(self._path)
        if stamp != self._seen:
            self._pins, self._seen = _read(self._path), stamp


def _checked(fingerprint: str) -> str:
    if not fingerprint:
        return ""
    try:
        return crypto.fingerprint_text(crypto.fingerprint_bytes(fingerprint))
    except ValueError as error:
        raise ConfigError(str(error), key="master_fingerprint", hint="`ctl-key -F` on the master prints it") from error


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        info = path.stat()
    except OSError:
        return ()
    return info.st_ino, info.st_mtime_ns, info.st_size


def _read(path: Path) -> Pins:
    try:
        found = json.loads(path.read_bytes())
        return Pins(_fingerprints(found["masters"]), _fingerprints(found.get("successors", {})))
    except FileNotFoundError:
        return Pins({}, {})
    except OSError as error:
        raise ConfigError(f"it cannot be read: {error.strerror}", path=str(path)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            "the trusted keys cannot be read from it: it is damaged",
            path=str(path),
            hint="restore it, or remove it to trust the master's key anew",
        ) from error


def _fingerprints(found: Mapping[str, str]) -> dict[str, str]:
    return {str(name): crypto.fingerprint_text(crypto.fingerprint_bytes(pin)) for name, pin in found.items()}
