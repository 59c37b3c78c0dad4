"""Run one function on this machine outside of the daemon: `ctl-call` and `ctl.client.Caller`.

With a master, a thread of its own keeps a session of kind `call` and serves what the function asks; masterless, the
roots of this machine take the master's place. The function itself runs in the caller's thread.
"""

from __future__ import annotations

import contextlib
import getpass
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..common.config import MinionConfig
from ..common.context import Context, FileSource, set_for_process, use
from ..common.errors import CtlError
from ..common.extmods import load_directories
from .contexts import make_context
from .execute import Call, Outcome, execute, pack_outcome
from .ports import ChildFiles, ChildPort, LocalDaemon

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from .uplink import Uplink

SESSION_TIMEOUT_S = 60.0
RETURN_TIMEOUT_S = 10.0
MAX_RETURN_BYTES = 900_000


def call(
    config: MinionConfig,
    fun: str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    local: bool = False,
    *,
    timeout: float = SESSION_TIMEOUT_S,
    whole_process: bool = False,
    report: bool = True,
    returners: Sequence[str] = (),
) -> dict[str, Any]:
    """Run a function; return `{"return", "retcode", "success", "out"}`.

    `local` needs no master. `timeout` limits the wait for a session with it (`MasterUnavailable`). `whole_process`
    gives the function's context to every thread of this process; `report` stores the return with the master.
    `returners` are users' own that get it too, beside those of the configuration.
    """
    arguments = Call(fun, list(args), dict(kwargs or {}))
    if local or config.file_client == "local":
        context = local_context(config)
        outcome = _run(context, arguments, whole_process)
        _hand_over(context, returners, arguments, outcome)
    else:
        with _uplink(config, timeout) as uplink:
            context = _remote_context(config, uplink)
            outcome = _run(context, arguments, whole_process)
            jid = _report(config, uplink, arguments, outcome) if report else ""
            _hand_over(context, returners, arguments, outcome, jid)
    return {"return": outcome.value, "retcode": outcome.retcode, "success": outcome.success, "out": outcome.out}


def _run(context: Context, arguments: Call, whole_process: bool) -> Outcome:
    if whole_process:
        set_for_process(context)
        return execute(context, [arguments])
    with use(context):
        return execute(context, [arguments])


def _hand_over(context: Context, named: Sequence[str], arguments: Call, outcome: Outcome, jid: str = "") -> None:
    """Give the return to users' returners, where there are any: under the jid that the master gave it, or one alike."""
    if not (named or context.config.get("return")):
        return
    from datetime import UTC, datetime

    from ..common.wire import pack_payload
    from . import returners

    context.jid = jid or datetime.now(UTC).strftime("%Y%m%d%H%M%S%f")
    packed = pack_payload(outcome.value)
    with use(context):
        returners.hand_over(context, named, _payload(arguments), outcome, packed, for_master=False)


def local_context(config: MinionConfig) -> Context:
    """Return the context of a masterless machine: files and pillar from its own roots."""
    from ..common.files import Roots

    def roots(directories: Mapping[str, Sequence[str]]) -> Roots:
        return Roots(
            directories,
            ignore_glob=config.file_ignore_glob,
            ignore_regex=config.file_ignore_regex,
            follow_symlinks=config.fileserver_followsymlinks,
        )

    made: list[Context] = []

    def compile_pillar(
        saltenv: str | None, pillarenv: str | None, override: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        from ..common.pillar import Pillar

        context = made[0]
        pillar = Pillar(
            roots(config.pillar_roots), config.raw, context.grains, config.id, context.functions, config.nodegroups
        )
        return pillar.compile(saltenv, pillarenv, override)

    made.append(_context(config, roots(config.file_roots), LocalDaemon(compile_pillar)))
    return made[0]


def _remote_context(config: MinionConfig, uplink: Uplink) -> Context:
    from .files import file_cache_directory

    files = ChildFiles(uplink, file_cache_directory(config))
    return _context(config, files, ChildPort(uplink), uplink.use_grains, jid=uplink.key)


def _context(
    config: MinionConfig,
    files: FileSource,
    port: ChildPort | LocalDaemon,
    on_grains: Callable[[Mapping[str, Any]], None] = lambda grains: None,
    jid: str = "",
) -> Context:
    directories = load_directories(config.raw)

    def grains() -> LazyGrains:
        table = LazyGrains(config, directories["grains"])
        on_grains(table)
        return table

    return make_context(
        config.raw,
        id=config.id,
        files=files,
        port=port,
        grains=grains(),
        renew_grains=grains,
        directories=directories,
        jid=jid,
        user=_user(),
    )


class LazyGrains(Mapping[str, Any]):
    """The grains of this machine, each read when it is asked for; nothing is even imported before."""

    def __init__(self, config: MinionConfig, directories: Sequence[str]) -> None:
        self._config = config
        self._directories = directories
        self._table: Mapping[str, Any] | None = None

    def _all(self) -> Mapping[str, Any]:
        if self._table is None:
            from pathlib import Path

            from .grains import GrainTable

            self._table = GrainTable(self._config, [Path(path) for path in self._directories])
        return self._table

    def __getitem__(self, key: str) -> Any:
        return self._all()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._all()

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


@contextlib.contextmanager
def _uplink(config: MinionConfig, timeout: float) -> Iterator[Uplink]:
    """Keep a session with the master in a thread, for as long as the block runs."""
    import asyncio

    from .uplink import Uplink

    ready: Future[tuple[Uplink, asyncio.AbstractEventLoop, asyncio.Event]] = _future()

    async def serve() -> None:
        done = asyncio.Event()
        try:
            async with Uplink(config, asyncio.get_running_loop()) as uplink:
                await uplink.wait(timeout)
                ready.set_result((uplink, asyncio.get_running_loop(), done))
                await done.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="uplink", daemon=True)
    thread.start()
    try:
        uplink, loop, done = ready.result()
        try:
            yield uplink
        finally:
            loop.call_soon_threadsafe(done.set)
    finally:
        thread.join()


def _future() -> Any:
    from concurrent.futures import Future

    return Future()


def _payload(arguments: Call) -> dict[str, Any]:
    return {"fun": arguments.fun, "arg": list(arguments.args), "kwarg": dict(arguments.kwargs or {})}


def _shown(arguments: Call) -> list[Any]:
    """Return the arguments as the job cache may show them: keywords at the end, secrets masked."""
    from ..common.secret_arguments import masked

    given = _payload(arguments)
    shown = masked(given) or given
    return [*shown["arg"], shown["kwarg"]] if shown["kwarg"] else list(shown["arg"])


def _report(config: MinionConfig, uplink: Uplink, arguments: Call, outcome: Outcome) -> str:
    """Store the return in the master's job cache; return its jid. One that does not arrive is no reason to fail."""
    from ..common.wire import pack_payload

    payload, outcome, truncated = pack_outcome(outcome, MAX_RETURN_BYTES)
    fields = {
        "fun": arguments.fun,
        "arg": pack_payload(_shown(arguments)),
        "retcode": outcome.retcode,
        "success": outcome.success,
        "out": outcome.out or None,
        "truncated": truncated,
        "payload": payload,
    }
    with contextlib.suppress(CtlError):
        return str(uplink.request("call_return", fields, RETURN_TIMEOUT_S)["jid"])
    return ""
