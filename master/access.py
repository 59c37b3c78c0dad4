"""Access to the master: who asks (`auth`), whether they may (`acl`), and the record of it (`audit`), in one place.

`permit` is what every operation asks. It is `acl.authorise` and a line in the audit log.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from ..common.config import MasterConfig
from ..common.database import Database
from ..common.errors import CtlError
from . import acl, audit, tokens
from .acl import Action, Principal
from .audit import AuditLog
from .auth import Authenticator, make_methods
from .grants import Acl
from .tokens import TokenTable

log = logging.getLogger(__name__)

SWEEP_SECONDS = 60.0
MIGRATIONS: Final = (f"{tokens.MIGRATION};{audit.MIGRATION}",)
AUDIT_NAME = "audit.log"
MAX_NAMED_FUNCTIONS = 20

LOOKS: Final = frozenset({"key.list", "key.print", "key.finger", "key.token.list"})
# What changes something (these, and whatever is done to keys) is recorded where it is allowed, everything where it is
# refused.
RECORDED: Final = frozenset({"publish", "run", "files.update", "token.make", "token.revoke"})


class Access:
    """The access of clients to one master."""

    def __init__(
        self,
        base: Database,
        authenticator: Authenticator,
        table: TokenTable,
        records: AuditLog,
        now: Callable[[], float],
    ) -> None:
        self._base = base
        self._now = now
        self.authenticator = authenticator
        self.tokens = table
        self.audit = records
        self._last_listed: tuple[Sequence[str], dict[str, Any]] = ((), audit.listed(()))

    @classmethod
    def open(cls, config: MasterConfig, directory: Path, now_ms: Callable[[], int], now: Callable[[], float]) -> Self:
        """Read the configuration and open the files; raises `ConfigError` or `StorageError`. Blocks."""
        rights = Acl(config.publisher_acl, config.external_auth, config.publisher_acl_blacklist, config.nodegroups)
        methods = make_methods(config, rights)
        base = Database.open(directory / "access.db", MIGRATIONS)
        try:
            table = TokenTable(
                base, life=config.token_expire, idle=config.token_idle_expire, now_ms=now_ms, random=os.urandom
            )
            records = AuditLog(
                config.audit_log or directory / AUDIT_NAME, base, now_ms=now_ms, now=now, random=os.urandom
            )
            records.record(op="start", pid=os.getpid(), outcome="the master starts")
        except BaseException:
            base.close()
            raise
        authenticator = Authenticator(rights, methods, table, failures=config.auth_failures, now=now)
        return cls(base, authenticator, table, records, now)

    def close(self) -> None:
        """Close what was opened."""
        self.authenticator.close()
        self.audit.close()
        self._base.close()

    async def run(self) -> None:
        """Bring the audit log to the disk every second; keep the time, and forget old tokens, every minute."""
        sweep_at = self._now()
        while True:
            await asyncio.sleep(audit.SYNC_SECONDS)
            try:
                self.audit.count_refusals()
                await asyncio.to_thread(self.audit.head)
                if self._now() >= sweep_at:
                    sweep_at = self._now() + SWEEP_SECONDS
                    await asyncio.to_thread(self.tokens.sweep)
            except OSError as error:
                log.error("the audit log or the tokens do not reach the disk: %s", error)

    def permit(self, principal: Principal, action: Action) -> int:
        """Raise unless this principal may do this; return the number of the record of it (0: none was made).

        Where the action's functions or minions are not known yet, the record waits for the second time of asking.
        """
        try:
            acl.authorise(principal, action)
        except CtlError as error:
            self.audit.refuse(
                principal.uid, **_who(principal), **self._what(action), outcome=f"refused: {error.message}"
            )
            raise
        if not _is_recorded(action.operation) or _is_half(action):
            return 0
        return self.audit.record(uid=principal.uid, **_who(principal), **self._what(action), outcome="allowed")

    def outcome(self, number: int, principal: Principal, outcome: str, **fields: Any) -> None:
        """Record what became of what was permitted."""
        if number:
            self.audit.record(uid=principal.uid, **_who(principal), of=number, **fields, outcome=audit.short(outcome))

    def _what(self, action: Action) -> Mapping[str, Any]:
        found: dict[str, Any] = {"op": audit.short(action.operation)}
        if action.calls:
            found["fun"] = [audit.short(call.fun) for call in action.calls[:MAX_NAMED_FUNCTIONS]]
            found["args"] = self.audit.digest(action.calls)
        if action.returners:
            found["returners"] = [audit.short(name) for name in action.returners]
        if action.shown:
            found["tgt"] = audit.short(action.shown)
        if action.minions is not None:
            found |= self._listed(action.minions)
        return found

    def _listed(self, minions: Sequence[str]) -> dict[str, Any]:
        """Describe minions; the same ones of job after job (all there are) are described once."""
        if self._last_listed[0] is not minions:
            self._last_listed = (minions, audit.listed(minions))
        return self._last_listed[1]


def _who(principal: Principal) -> Mapping[str, Any]:
    found = {"user": audit.short(principal.user), "how": principal.how}
    return {**found, "runner": audit.short(principal.runner)} if principal.runner else found


def _is_recorded(operation: str) -> bool:
    return operation in RECORDED or (operation.startswith("key.") and operation not in LOOKS)


def _is_half(action: Action) -> bool:
    return action.operation in ("publish", "run") and action.calls is None
