"""Authentication: from a request and what the kernel says of its sender to a principal.

Without credentials the principal is the user at the other end of the socket. With a token, or an account and its
password, it is that account, and nothing of the sender's own rights is added. Whoever cannot be authenticated becomes a
principal with a problem, which `acl.authorise` refuses as it refuses everything else.

Failures are answered late, in steps of half a second: how long one took tells nothing about an account.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

from ..common.config import MasterConfig
from ..common.errors import ConfigError, JobError
from ..common.ipc_server import Peer
from .accounts import Account, Method
from .acl import Principal
from .auth_file import FileMethod
from .failures import Failures
from .grants import Acl
from .tokens import Token, TokenTable

log = logging.getLogger(__name__)

METHODS: Final = ("pam", "ldap", "file")
TOKEN: Final = "token"  # noqa: S105 - a word
HELPER_SECONDS = 30.0
THREADS = 4
STEP_SECONDS = 0.5
MAX_PASSWORD_BYTES = 1024
USER = re.compile(r"[^\x00-\x20\x7f:/%*?\[\]]{1,128}")

WRONG = "authentication failed"
TOO_MANY = "too many failed authentications: wait a minute"
NO_TOKEN = "the token is not valid, or not any more"  # noqa: S105 - a sentence
BROKEN = "authentication is not possible now; the master's log says why"


class HelperMethod:
    """A method that is asked in a process of its own."""

    def __init__(self, name: str, settings: Any) -> None:
        self._name = name
        self._settings = settings
        self._running: set[subprocess.Popen[bytes]] = set()

    def close(self) -> None:
        """End what is being asked: the master stops."""
        for process in tuple(self._running):
            _end(process)

    def check(self, user: str, password: str) -> Account | None:
        """Return the account that this password is right for."""
        return self._ask(user, password)

    def find(self, user: str) -> Account | None:
        """Return an account that may still be used."""
        return self._ask(user, None)

    def _ask(self, user: str, password: str | None) -> Account | None:
        question = {"method": self._name, "settings": self._settings, "user": user, "password": password}
        try:
            found = json.loads(self._run(json.dumps(question).encode()))
        except subprocess.TimeoutExpired:
            raise JobError(f"{self._name} did not answer in {HELPER_SECONDS:g} s") from None
        except (OSError, ValueError) as error:
            raise JobError(f"{self._name} cannot be asked: {type(error).__name__}") from None
        if "error" in found:
            raise JobError(str(found["error"]))
        account = found["account"]
        return Account(account["user"], tuple(account["groups"]), account["stamp"]) if account else None

    def _run(self, question: bytes) -> bytes:
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "ctl.master.auth_helper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": _import_path()},
            cwd="/",
            start_new_session=True,
        ) as process:
            self._running.add(process)
            try:
                return process.communicate(question, HELPER_SECONDS)[0]
            except BaseException:
                _end(process)
                raise
            finally:
                self._running.discard(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a helper, and what a module of PAM may have started in it."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _import_path() -> str:
    """Return the directories to import from, as this process does; the working directory is not one of them."""
    return ":".join(entry for entry in sys.path if entry and Path(entry).is_absolute())


def make_methods(config: MasterConfig, acl: Acl) -> dict[str, Method]:
    """Make the methods that the configuration names; raises `ConfigError`."""
    methods: dict[str, Method] = {}
    for name in acl.methods:
        if name == "file":
            path = acl.options[name].get("filename") or config.auth_file
            if not path:
                raise ConfigError("external_auth: file needs auth_file, which names the accounts", key="auth_file")
            methods[name] = FileMethod(Path(path))
        elif name == "pam":
            methods[name] = HelperMethod(name, config.auth_pam_service)
        elif name == "ldap":
            methods[name] = HelperMethod(name, dict(config.auth_ldap))
        else:
            raise ConfigError(
                f"external_auth: there is no method {name!r}; there are {', '.join(METHODS)}", key="external_auth"
            )
    return methods


class Authenticator:
    """Finds out who asks."""

    def __init__(
        self,
        acl: Acl,
        methods: Mapping[str, Method],
        tokens: TokenTable,
        *,
        failures: int,
        now: Callable[[], float],
    ) -> None:
        self._acl = acl
        self._methods = methods
        self._tokens = tokens
        self._now = now
        self._failures = Failures(failures, now)
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._threads = ThreadPoolExecutor(THREADS, "authentication")

    def close(self) -> None:
        """Stop authenticating."""
        for method in self._methods.values():
            if isinstance(method, HelperMethod):
                method.close()
        self._threads.shutdown(cancel_futures=True)

    def of_peer(self, peer: Peer) -> Principal:
        """Return the principal that the kernel vouches for."""
        return Principal(
            peer.user,
            peer.uid,
            peer.groups,
            grants=self._acl.of_user(peer.user, peer.groups),
            refused=self._acl.refused_functions,
        )

    async def identify(self, request: Mapping[str, Any], peer: Peer) -> Principal:
        """Return who asks."""
        credentials = request.get("auth")
        if credentials is None:
            return self.of_peer(peer)
        began = self._now()
        lock = self._locks.setdefault(peer.uid, asyncio.Lock())
        async with lock:  # one after another: many guesses at once count like many in a row
            principal = await self._authenticate(credentials, peer)
        if principal.problem:
            await asyncio.sleep(pause_after(self._now() - began))
        return principal

    async def make_token(self, principal: Principal) -> tuple[str, Token]:
        """Make a token for whom a method has just authenticated; raises `JobError` for anybody else."""
        method, _, user = principal.user.partition(":")
        if principal.how not in self._methods or not user:
            raise JobError("a token is made for whoever authenticates with an account and its password (-a)")
        account = await self._call(self._methods[method].find, user)
        if account is None:
            raise JobError(f"{principal.user} is no account that a token can be made for")
        secret, token = await self._call(self._tokens.make, method, user, principal.uid, account.stamp)
        return secret.hex(), token

    async def _authenticate(self, credentials: Any, peer: Peer) -> Principal:
        if not isinstance(credentials, Mapping):
            return _nobody(peer, WRONG)
        if "token" in credentials:
            return await self._by_token(credentials["token"], peer)
        return await self._by_password(credentials, peer)

    async def _by_password(self, credentials: Mapping[str, Any], peer: Peer) -> Principal:
        given = [credentials.get(key) for key in ("eauth", "username", "password")]
        name, user, password = (value if isinstance(value, str) else "" for value in given)
        known = bool(USER.fullmatch(user)) and _is_password(password)
        subjects: list[Hashable] = [("uid", peer.uid), *([("account", name, user)] if known else [])]
        if not self._failures.begin(subjects):
            return _nobody(peer, TOO_MANY, name, user)
        method = self._methods.get(name)
        if method is None or not known:
            return _nobody(peer, WRONG, name, user)
        try:
            account = await self._call(method.check, user, password)
        except JobError as error:
            log.error("external_auth: %s: %s", name, error)
            return _nobody(peer, BROKEN, name, user)
        if account is None:
            log.warning("%s:%s did not authenticate (a process of user %s)", name, user, peer.user)
            return _nobody(peer, WRONG, name, user)
        self._failures.succeeded(subjects)
        return self._principal(name, account, peer, name)

    async def _by_token(self, text: Any, peer: Peer) -> Principal:
        subjects = [("uid", peer.uid)]
        if not self._failures.begin(subjects):
            return _nobody(peer, TOO_MANY, TOKEN)
        try:
            secret = bytes.fromhex(text) if isinstance(text, str) and len(text) <= 128 else b""
        except ValueError:
            secret = b""
        token = await self._call(self._tokens.find, secret, peer.uid)
        method = self._methods.get(token.method) if token is not None else None
        if token is None or method is None:
            return _nobody(peer, NO_TOKEN, TOKEN)
        try:
            account = await self._call(method.find, token.user)
        except JobError as error:
            log.error("external_auth: %s: %s", token.method, error)
            return _nobody(peer, BROKEN, TOKEN, token.user)
        if account is None or account.stamp != token.stamp:
            return _nobody(peer, NO_TOKEN, TOKEN, token.user)
        self._failures.succeeded(subjects)
        return self._principal(token.method, account, peer, TOKEN)

    def _principal(self, method: str, account: Account, peer: Peer, how: str) -> Principal:
        return Principal(
            f"{method}:{account.user}",
            peer.uid,
            tuple(account.groups),
            how=how,
            grants=self._acl.of_account(method, account.user, account.groups),
            refused=self._acl.refused_functions,
        )

    async def _call(self, work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)


def _is_password(text: str) -> bool:
    return 0 < len(text.encode("utf-8", "replace")) <= MAX_PASSWORD_BYTES and "\0" not in text


def pause_after(spent: float) -> float:
    """Return how long a failure that took `spent` seconds is kept back: until the next step, or the one after it."""
    return math.ceil((spent + STEP_SECONDS / 50) / STEP_SECONDS) * STEP_SECONDS - spent


def _nobody(peer: Peer, problem: str, method: object = "", user: object = "") -> Principal:
    """Return the principal of a failed authentication: named by what it tried, with no rights at all."""
    tried = f"{str(method)[:32]}:{str(user)[:128]}" if user else str(method)[:32]
    return Principal(tried or "nobody", peer.uid, (), how="failed", problem=problem)
