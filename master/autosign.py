"""Whose first key is accepted or rejected without an administrator: lists of ids with addresses, and a program.

A list or program that somebody else could write is not used. The program gets JSON on its standard input and answers by
its exit code: 0 accepts, 1 leaves the key waiting, 2 rejects it; whatever else happens leaves it waiting.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from ..common import process
from ..common.config import MasterConfig
from ..common.errors import CommandExecutionError, ConfigError
from ..common.log import Limiter
from ..common.writers import other_writers

log = logging.getLogger(__name__)

MAX_LIST_BYTES = 1024 * 1024
MAX_OUTPUT_BYTES = 4096
MAX_PROGRAMS = 4
ASK_AGAIN_SECONDS = 30.0
MAX_REMEMBERED = 4096


class Verdict(Enum):
    """What becomes of a key."""

    ACCEPT = "accept"
    REJECT = "reject"
    WAIT = "wait"


ANSWERS = {0: Verdict.ACCEPT, 1: Verdict.WAIT, 2: Verdict.REJECT}


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A key that waits: whose it says to be, what it is, and where it came from."""

    id: str
    fingerprint: str
    public: str  # PEM
    address: str
    kind: str
    versions: dict[str, Any]


class Entry(NamedTuple):
    """A line of a list: a glob or expression over ids, and the networks that it is good for (none: everywhere)."""

    pattern: str
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

    def matches(self, minion: str, address: str) -> bool:
        """Say whether this line means the minion."""
        return self._names(minion) and (not self.networks or self._has(address))

    def _names(self, minion: str) -> bool:
        if fnmatchcase(minion.lower(), self.pattern.lower()):
            return True
        try:
            return re.fullmatch(self.pattern, minion) is not None
        except re.error:
            return False

    def _has(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(found.version == network.version and found in network for network in self.networks)


def parse_list(text: str) -> list[Entry]:
    """Read a list of ids; raises ValueError for an address that is none."""
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [
        Entry(words[0], tuple(ipaddress.ip_network(word, strict=False) for word in words[1:]))
        for words in lines
        if words
    ]


def _check_writers(path: Path) -> None:
    """Raise `ConfigError` for a file that somebody else could have written."""
    try:
        found = other_writers(path)
    except OSError as error:
        raise ConfigError(f"it cannot be used: {error.strerror}", path=str(path)) from error
    if found is not None:
        raise ConfigError(f"{found[0]}, so it is not used", path=str(path), hint=found[1])


class Autosign:
    """The decisions of one master's configuration."""

    def __init__(self, config: MasterConfig, now: Callable[[], float]) -> None:
        self._config = config
        self._now = now
        self._limiter = Limiter()
        self._programs = asyncio.Semaphore(MAX_PROGRAMS)
        self._asked: OrderedDict[tuple[str, str], float] = OrderedDict()

    @property
    def is_on(self) -> bool:
        """Whether anything is configured."""
        config = self._config
        return any((config.autosign_file, config.autoreject_file, config.autosign_policy))

    async def decide(self, newcomer: Newcomer) -> Verdict:
        """Decide on a key."""
        listed = await asyncio.to_thread(self._look_up, newcomer)
        if listed is not Verdict.WAIT or self._config.autosign_policy is None or not self._may_ask(newcomer):
            return listed
        async with self._programs:
            return await asyncio.to_thread(self._ask, self._config.autosign_policy, newcomer)

    def _look_up(self, newcomer: Newcomer) -> Verdict:
        if self._is_listed(self._config.autoreject_file, newcomer):
            return Verdict.REJECT
        return Verdict.ACCEPT if self._is_listed(self._config.autosign_file, newcomer) else Verdict.WAIT

    def _is_listed(self, path: Path | None, newcomer: Newcomer) -> bool:
        if path is None:
            return False
        try:
            _check_writers(path)
            with path.open(encoding="utf-8") as file:
                entries = parse_list(file.read(MAX_LIST_BYTES))
        except (ConfigError, OSError, ValueError) as error:
            self._complain(path, error)
            return False
        return any(entry.matches(newcomer.id, newcomer.address) for entry in entries)

    def _may_ask(self, newcomer: Newcomer) -> bool:
        """Ask the program about one key twice a minute at most."""
        subject, now = (newcomer.id, newcomer.fingerprint), self._now()
        last = self._asked.get(subject)
        if last is not None and now - last < ASK_AGAIN_SECONDS:
            return False
        self._asked[subject] = now
        self._asked.move_to_end(subject)
        if len(self._asked) > MAX_REMEMBERED:
            self._asked.popitem(last=False)
        return True

    def _ask(self, path: Path, newcomer: Newcomer) -> Verdict:
        question = asdict(newcomer)
        limit = self._config.autosign_policy_timeout
        try:
            _check_writers(path)
            done = process.run(
                [str(path)],
                stdin=json.dumps(question) + "\n",
                cwd="/",
                env={"PATH": process.search_path(), "LANG": "C.UTF-8"},
                timeout=limit,
                limit_bytes=MAX_OUTPUT_BYTES,
            )
        except (ConfigError, CommandExecutionError) as error:
            self._complain(path, error)
            return Verdict.WAIT
        verdict = None if done.timed_out else ANSWERS.get(done.retcode)
        if verdict is None:
            what = f"took longer than {limit:g} s" if done.timed_out else f"ended with code {done.retcode}"
            self._complain(path, ConfigError(f"it {what}: {process.complaint(done)}"))
        return verdict or Verdict.WAIT

    def _complain(self, path: Path, error: Exception) -> None:
        if self._limiter.allows(path):
            log.error("%s: %s: new keys wait for an administrator", path, error)
