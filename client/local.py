"""Run functions on minions from Python, through the master on this machine. The methods have Salt's names.

One object serves many threads: each running call has a connection of its own, kept for the next call.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from ..common.errors import CtlError, NoMinions, nearest
from . import batch as batches
from . import job, settings
from .connection import Pool
from .credentials import KEYS, of_keywords

IDLE_SECONDS = 0.1


class Plain(TypedDict, total=False):
    """What every method that publishes takes beside Salt's arguments; times in seconds.

    `delimiter` between the levels of a grain or pillar target; `metadata` kept with the job; `job_timeout` after which
    the job is ended on a minion (0: never); `window` in which a minion that is away may still come for it;
    `wait` to wait for such minions; `max_time` to wait at most (0: no limit). `token`, or `eauth`, `username` and
    `password`, to be an account instead of who the kernel says. `private` sends the job to the minions that are meant
    alone; `secret` has the names (or positions, as texts) of arguments that are masked wherever jobs are shown, which
    makes it private, too.
    """

    delimiter: str
    metadata: Any
    job_timeout: float
    window: float
    wait: bool
    max_time: float
    private: bool
    secret: Sequence[str]
    eauth: str
    username: str
    password: str
    token: str


class Options(Plain, total=False):
    """The same, and `subset` to choose so many of the minions at random."""

    subset: int


EXTRA_ARGUMENTS = frozenset({*Plain.__annotations__, *Options.__annotations__})


class LocalClient:
    """Run functions on minions through the master whose configuration is at `c_path`, a file or its directory.

    `timeout` limits silence, not work: how long a minion may take to acknowledge a job. A minion that runs the job is
    waited for. `mopts` holds settings that win over the file. `auth` are credentials for every call, where they are not
    given with it. Close the client, or use it as a context manager.

        with LocalClient() as client:
            client.cmd("web*", "cmd.run", ["uptime"])   # {'web1': '...', 'web2': '...'}
    """

    def __init__(
        self,
        c_path: str | os.PathLike[str] = settings.DEFAULT_PATH,
        mopts: Mapping[str, Any] | None = None,
        auth: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings = settings.load(c_path, mopts)
        self.pool = Pool(self.settings.socket, of_keywords(auth or {}))

    def __enter__(self) -> LocalClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that no call is using."""
        self.pool.close()

    def cmd(
        self,
        tgt: str | Sequence[str],
        fun: str | Sequence[str],
        arg: Sequence[Any] | str = (),
        timeout: float | None = None,
        tgt_type: str = "glob",
        ret: str | Sequence[str] = "",
        jid: str = "",
        full_return: bool = False,
        kwarg: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> dict[str, Any]:
        """Run a function and return `{minion: return}`; minions that did not return are left out.

        `fun` may be a list, with `arg` a list of lists. `full_return` gives `{minion: {"ret", "retcode", ...}}`.
        Where nothing matches the target the result is empty. `ret` names returners of the minions (`a,b`, or a list)
        that get each return, too.
        """
        given = self._request(tgt, fun, arg, timeout, tgt_type, ret, jid, kwarg, options)
        return self._gather(given, full_return)

    def cmd_full_return(
        self,
        tgt: str | Sequence[str],
        fun: str | Sequence[str],
        arg: Sequence[Any] | str = (),
        timeout: float | None = None,
        tgt_type: str = "glob",
        ret: str | Sequence[str] = "",
        verbose: bool = False,
        kwarg: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> dict[str, dict[str, Any]]:
        """Run a function and return `{minion: {"ret", "retcode", "success", "jid", ...}}`; `verbose` means nothing."""
        return self._gather(self._request(tgt, fun, arg, timeout, tgt_type, ret, "", kwarg, options), True)

    def cmd_async(
        self,
        tgt: str | Sequence[str],
        fun: str | Sequence[str],
        arg: Sequence[Any] | str = (),
        tgt_type: str = "glob",
        ret: str | Sequence[str] = "",
        jid: str = "",
        kwarg: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> str:
        """Publish a job and return its jid at once; an empty one where nothing matches the target."""
        return str(self.run_job(tgt, fun, arg, tgt_type, ret, None, jid, kwarg, **options).get("jid", ""))

    def run_job(
        self,
        tgt: str | Sequence[str],
        fun: str | Sequence[str],
        arg: Sequence[Any] | str = (),
        tgt_type: str = "glob",
        ret: str | Sequence[str] = "",
        timeout: float | None = None,
        jid: str = "",
        kwarg: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> dict[str, Any]:
        """Publish a job; return `{"jid", "minions"}` at once, or nothing where no minion matches the target."""
        request = self._request(tgt, fun, arg, timeout, tgt_type, ret, jid, kwarg, options)
        try:
            with job.publish(self.pool, request, follow=False) as stream:
                for event in stream:
                    if isinstance(event, job.Published):
                        published = event
        except NoMinions:
            return {}
        return {"jid": published.jid, "minions": published.ids}

    def pub(
        self,
        tgt: str | Sequence[str],
        fun: str | Sequence[str],
        arg: Sequence[Any] | str = (),
        tgt_type: str = "glob",
        ret: str | Sequence[str] = "",
        jid: str = "",
        timeout: float | None = None,
        **options: Unpack[Options],
    ) -> dict[str, Any]:
        """Publish a job; the same as `run_job`, with Salt's order of arguments."""
        return self.run_job(tgt, fun, arg, tgt_type, ret, timeout, jid, **options)

    def cmd_iter(
        self,
        tgt: str | Sequence[str],
        fun: str | Sequence[str],
        arg: Sequence[Any] | str = (),
        timeout: float | None = None,
        tgt_type: str = "glob",
        ret: str | Sequence[str] = "",
        kwarg: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Generator[dict[str, dict[str, Any]], None, None]:
        """Yield `{minion: {"ret": ...}}` as each minion returns."""
        for event in self._events(self._request(tgt, fun, arg, timeout, tgt_type, ret, "", kwarg, options)):
            if isinstance(event, job.Return):
                yield {event.id: event.full()}

    def cmd_iter_no_block(
        self,
        tgt: str | Sequence[str],
        fun: str | Sequence[str],
        arg: Sequence[Any] | str = (),
        timeout: float | None = None,
        tgt_type: str = "glob",
        ret: str | Sequence[str] = "",
        kwarg: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Generator[dict[str, dict[str, Any]] | None, None, None]:
        """Yield as `cmd_iter` does, and None whenever a tenth of a second has brought nothing."""
        try:
            stream = job.publish(self.pool, self._request(tgt, fun, arg, timeout, tgt_type, ret, "", kwarg, options))
        except NoMinions:
            return
        with stream:
            while True:
                if not stream.ready(IDLE_SECONDS):
                    yield None
                    continue
                event = next(stream, None)
                if event is None:
                    return
                if isinstance(event, job.Return):
                    yield {event.id: event.full()}

    def cmd_batch(
        self,
        tgt: str | Sequence[str],
        fun: str | Sequence[str],
        arg: Sequence[Any] | str = (),
        tgt_type: str = "glob",
        ret: str | Sequence[str] = "",
        kwarg: Mapping[str, Any] | None = None,
        batch: str | int = "10%",
        batch_wait: float = 0.0,
        failhard: bool = False,
        timeout: float | None = None,
        **options: Unpack[Options],
    ) -> Generator[dict[str, Any], None, None]:
        """Run on `batch` minions at a time (a number or a share like `10%`); yield `{minion: return}` as they come."""
        request = self._request(tgt, fun, arg, timeout, tgt_type, ret, "", kwarg, options)
        try:
            for event in batches.run(self.pool, request, batches.Size.parse(batch), batch_wait, failhard):
                if isinstance(event, job.Return):
                    yield {event.id: event.ret}
        except NoMinions:
            return

    def cmd_subset(
        self,
        tgt: str | Sequence[str],
        fun: str | Sequence[str],
        arg: Sequence[Any] | str = (),
        tgt_type: str = "glob",
        ret: str | Sequence[str] = "",
        kwarg: Mapping[str, Any] | None = None,
        subset: int = 3,
        full_return: bool = False,
        timeout: float | None = None,
        **options: Unpack[Plain],
    ) -> dict[str, Any]:
        """Run on `subset` minions, chosen at random among those of the target; return as `cmd` does."""
        request = self._request(tgt, fun, arg, timeout, tgt_type, ret, "", kwarg, options)
        return self._gather(request._replace(subset=subset), full_return)

    def gather_minions(self, tgt: str | Sequence[str], expr_form: str = "glob", delimiter: str = ":") -> list[str]:
        """Return the ids of the minions that a target means now; nothing is run."""
        request = job.Request(tgt, "", tgt_type=expr_form, delimiter=delimiter)
        try:
            return [minion for minion, _ in job.targets(self.pool, request)]
        except NoMinions:
            return []

    def get_cache_returns(self, jid: str) -> dict[str, dict[str, Any]]:
        """Return what the job cache holds of a job: `{minion: {"ret", ...}}`."""
        with job.returns(self.pool, jid) as stream:
            return {event.id: event.full() for event in stream if isinstance(event, job.Return)}

    def get_returns(
        self, jid: str, minions: Sequence[str] | None = None, timeout: float | None = None
    ) -> dict[str, Any]:
        """Wait for the returns of a job that was published before; return `{minion: return}`.

        With `minions` it ends when all of those have returned.
        """
        limit = self.settings.timeout if timeout is None else timeout
        wanted = set(minions) if minions is not None else None
        found: dict[str, Any] = {}
        with job.follow(self.pool, jid, limit) as stream:
            for event in stream:
                if isinstance(event, job.Return) and (wanted is None or event.id in wanted):
                    found[event.id] = event.ret
                if wanted is not None and wanted <= found.keys():
                    break
        return found

    def _gather(self, request: job.Request, full: bool) -> dict[str, Any]:
        return {
            event.id: event.full() if full else event.ret
            for event in self._events(request)
            if isinstance(event, job.Return)
        }

    def _events(self, request: job.Request) -> Iterator[job.Event]:
        try:
            stream = job.publish(self.pool, request)
        except NoMinions:
            return
        with stream:
            yield from stream

    def _request(
        self,
        tgt: str | Sequence[str],
        fun: str | Sequence[str],
        arg: Sequence[Any] | str,
        timeout: float | None,
        tgt_type: str,
        ret: str | Sequence[str],
        jid: str,
        kwarg: Mapping[str, Any] | None,
        options: Options | Plain,
    ) -> job.Request:
        _check(jid, options)
        args, kwargs = _arguments(fun, arg, kwarg or {})
        limit = self.settings.timeout if timeout is None else float(timeout)
        request = job.Request(tgt, fun, args, kwargs, tgt_type, timeout=limit, window=self.settings.delivery_window)
        more: dict[str, Any] = {key: value for key, value in options.items() if key not in KEYS}
        return request._replace(**more, auth=of_keywords(options), returners=_names(ret))


def _names(ret: str | Sequence[str]) -> list[str]:
    """Return the names of returners, which may be given in one text with commas."""
    words = ret.split(",") if isinstance(ret, str) else ret
    return [word.strip() for word in words if word.strip()]


def _check(jid: str, options: Mapping[str, object]) -> None:
    if jid:
        raise CtlError(f"jid={jid!r}: the master gives each job its jid", hint="use `metadata` to mark a job")
    for name in options:
        if name not in EXTRA_ARGUMENTS:
            close = nearest(name, EXTRA_ARGUMENTS)
            hint = f"; did you mean '{close}'?" if close else "; a function's own keywords go into kwarg={...}"
            raise TypeError(f"unknown argument {name!r}{hint}")


def _arguments(
    fun: str | Sequence[str], arg: Sequence[Any] | str, kwarg: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Bring arguments into the shape of the wire; Salt's way of marking keywords inside `arg` is understood."""
    if isinstance(arg, str):
        arg = [arg]
    if not isinstance(fun, str):
        return [list(group) if isinstance(group, list | tuple) else [group] for group in arg], dict(kwarg)
    args: list[Any] = []
    kwargs = dict(kwarg)
    for value in arg:
        if isinstance(value, Mapping) and value.get(job.KEYWORD_MARK) is True:
            kwargs |= {str(key): item for key, item in value.items() if key != job.KEYWORD_MARK}
        else:
            args.append(value)
    return args, kwargs
