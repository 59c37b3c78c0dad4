"""Run the master's own functions (runners) from Python, through the master on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..common.payload import pack_payload, unpack_payload
from . import settings
from .connection import Exchange, Pool
from .credentials import KEYS, of_keywords


class RunnerResult(NamedTuple):
    """What a runner returned."""

    jid: str
    ret: Any
    retcode: int = 0
    success: bool = True
    out: str = ""

    @property
    def good(self) -> bool:
        """Whether the runner succeeded."""
        return self.retcode == 0 and self.success


def run(
    pool: Pool,
    fun: str,
    arg: Sequence[Any] = (),
    kwarg: Mapping[str, Any] | None = None,
    *,
    timeout: float = 0.0,
    on_progress: Callable[[Any], None] | None = None,
    auth: Mapping[str, Any] | None = None,
) -> RunnerResult:
    """Run a runner and wait for it (`timeout` seconds at most; 0: no limit); progress is passed on as it comes."""
    with Exchange(pool, "run", _arguments(fun, arg, kwarg, timeout, auth, follow=True)) as exchange:
        for kind, data in exchange:
            if kind == "result":
                return decode_result(data)
            if kind == "progress" and on_progress is not None:
                on_progress(decode_progress(data))
    raise AssertionError("an exchange ends in a result or an error")


def start(
    pool: Pool,
    fun: str,
    arg: Sequence[Any] = (),
    kwarg: Mapping[str, Any] | None = None,
    auth: Mapping[str, Any] | None = None,
) -> str:
    """Start a runner and return its jid at once."""
    return str(pool.call("run", **_arguments(fun, arg, kwarg, 0.0, auth, follow=False))["jid"])


def _arguments(
    fun: str,
    arg: Sequence[Any],
    kwarg: Mapping[str, Any] | None,
    timeout: float,
    auth: Mapping[str, Any] | None,
    *,
    follow: bool,
) -> dict[str, Any]:
    payload = pack_payload({"fun": fun, "arg": list(arg), "kwarg": dict(kwarg or {})})
    credentials = {"auth": auth} if auth else {}
    return {"fun": fun, "payload": payload, "timeout": timeout, "follow": follow, **credentials}


def decode_result(data: Mapping[str, Any]) -> RunnerResult:
    """Build a result from what the master answered."""
    payload = data.get("payload")
    return RunnerResult(
        jid=str(data.get("jid", "")),
        ret=unpack_payload(payload) if payload else None,
        retcode=int(data.get("retcode", 0)),
        success=bool(data.get("success", True)),
        out=str(data.get("out") or ""),
    )


def decode_progress(data: Any) -> Any:
    """Unpack the news of a running runner."""
    body = data.get("data") if isinstance(data, Mapping) else data
    return unpack_payload(body) if isinstance(body, bytes) else body


class RunnerClient:
    """Run runners through the master whose configuration is at `c_path`: a file, its directory, or settings.

    `auth` are credentials, a `token` or `eauth`, `username` and `password`; low data may hold its own.

    with RunnerClient() as runners:
        runners.cmd("manage.up")   # ['web1', 'web2']
    """

    def __init__(
        self,
        c_path: str | os.PathLike[str] | Mapping[str, Any] = settings.DEFAULT_PATH,
        auth: Mapping[str, Any] | None = None,
    ) -> None:
        given = c_path if isinstance(c_path, Mapping) else None
        place = settings.DEFAULT_PATH if isinstance(c_path, Mapping) else c_path
        self.settings = settings.load(place, given)
        self.pool = Pool(self.settings.socket, of_keywords(auth or {}))

    def __enter__(self) -> RunnerClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that no call is using."""
        self.pool.close()

    def cmd(
        self,
        fun: str,
        arg: Sequence[Any] = (),
        kwarg: Mapping[str, Any] | None = None,
        timeout: float = 0.0,
        full_return: bool = False,
        on_progress: Callable[[Any], None] | None = None,
    ) -> Any:
        """Run a runner and return what it returns; `full_return` gives `{"return", "retcode", "success", ...}`."""
        found = run(self.pool, fun, arg, kwarg, timeout=timeout, on_progress=on_progress)
        return _full(fun, found) if full_return else found.ret

    def cmd_async(self, low: Mapping[str, Any] | str, arg: Sequence[Any] = (), **kwarg: Any) -> dict[str, Any]:
        """Start a runner, by its name or as `{"fun", "arg", "kwarg"}`; return `{"jid", "tag"}` at once."""
        auth, low = _credentials(low)
        fun, args, kwargs = _low(low, arg, kwarg)
        jid = start(self.pool, fun, args, kwargs, auth)
        return {"jid": jid, "tag": f"run/{jid}"}

    def cmd_sync(self, low: Mapping[str, Any], timeout: float = 0.0, full_return: bool = False) -> Any:
        """Run a runner given as `{"fun", "arg", "kwarg"}` and return what it returns."""
        auth, rest = _credentials(low)
        fun, args, kwargs = _low(rest, (), {})
        found = run(self.pool, fun, args, kwargs, timeout=timeout, auth=auth)
        return _full(fun, found) if full_return else found.ret


def _credentials(low: Mapping[str, Any] | str) -> tuple[dict[str, Any] | None, Mapping[str, Any] | str]:
    """Take Salt's credentials out of low data; `password` alone is a runner's own keyword."""
    if isinstance(low, str) or not {"token", "eauth"} & set(low):
        return None, low
    return of_keywords(low), {key: value for key, value in low.items() if key not in KEYS}


def _low(
    low: Mapping[str, Any] | str, arg: Sequence[Any], kwarg: Mapping[str, Any]
) -> tuple[str, list[Any], dict[str, Any]]:
    """Take apart Salt's low data, where keywords may also stand beside `fun`."""
    if isinstance(low, str):
        return low, list(arg), dict(kwarg)
    rest = {key: value for key, value in low.items() if key not in ("fun", "arg", "kwarg", "client")}
    return str(low["fun"]), list(low.get("arg") or ()), {**rest, **(low.get("kwarg") or {}), **kwarg}


def _full(fun: str, found: RunnerResult) -> dict[str, Any]:
    return {
        "fun": fun,
        "jid": found.jid,
        "return": found.ret,
        "retcode": found.retcode,
        "success": found.success,
        "out": found.out,
    }
