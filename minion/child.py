"""The process of one job, after the helper forked it: take the job from the link, run it, send back how it ended.

It opens no network socket of its own. Users' plugins are imported here and nowhere else.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..common import collector
from ..common.calls import parse_returners
from ..common.context import Context, set_for_process
from ..common.secret import redact
from ..common.wire import pack_payload, unpack_payload
from .contexts import make_context
from .execute import FAILED, Outcome, execute, pack_outcome, parse_calls
from .link import BlockingLink, LinkClosed
from .ports import ChildFiles, ChildPort, LazyMapping

log = logging.getLogger(__name__)

PART_BYTES = 1024 * 1024


class DaemonLog(logging.Handler):
    """Sends a job's log records to the daemon, which writes them where it writes its own."""

    def __init__(self, link: BlockingLink, jid: str) -> None:
        super().__init__()
        self._link = link
        self._jid = jid

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; a daemon that has gone has no log either."""
        try:
            text = record.getMessage()
            if record.exc_info:
                text += "\n" + logging.Formatter().formatException(record.exc_info)
            self._link.tell("log", record.levelno, record.name, redact(text))
        except LinkClosed:
            return
        except Exception:  # a plugin's own arguments that do not format
            self.handleError(record)


def serve(sock: socket.socket) -> int:
    """Run the job that comes over `sock`; returns the process's exit status."""
    link = BlockingLink(sock)
    collector.keep_what_is_built()
    try:
        job = link.receive()[1]
    except LinkClosed:
        return 0  # the job was called off before it began
    _forward_log(link, job)
    try:
        if job["kind"] == "grains":
            _send_grains(link, job)
        else:
            _run(link, job)
    except LinkClosed:
        return 1
    return 0


def _forward_log(link: BlockingLink, job: Mapping[str, Any]) -> None:
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers[:] = [DaemonLog(link, job["jid"])]
    root.setLevel(job["log_level"])


def _run(link: BlockingLink, job: Mapping[str, Any]) -> None:
    try:
        context = _build_context(link, job)
        set_for_process(context)
        given = unpack_payload(job["payload"])
        named = parse_returners(given)
        outcome = execute(context, parse_calls(given))
        payload, outcome, truncated = pack_outcome(outcome, job["return_max"])
    except MemoryError:
        outcome = Outcome("ERROR: the job ran out of memory", FAILED, False)
        send_result(link, pack_payload(outcome.value), outcome, False)
        return
    send_result(link, payload, outcome, truncated)
    if named or context.config.get("return"):
        from . import returners  # most jobs have none

        returners.hand_over(
            context, named, given, outcome, payload, for_master=True, secret=job["secret"], seconds=returners.SECONDS
        )


def send_result(link: BlockingLink, payload: bytes, outcome: Outcome, truncated: bool) -> None:
    """Send how the job ended: the payload in parts where it is large, then the rest."""
    start = 0
    while len(payload) - start > PART_BYTES:
        link.tell("part", payload[start : start + PART_BYTES])
        start += PART_BYTES
    link.tell("done", payload[start:], outcome.retcode, outcome.success, outcome.out, truncated)


def _build_context(link: BlockingLink, job: Mapping[str, Any]) -> Context:
    """Make the context that the job's plugins see."""
    port = ChildPort(link)
    return make_context(
        unpack_payload(job["config"]),
        id=job["id"],
        jid=job["jid"],
        user=job["user"],
        grains=LazyMapping(lambda: unpack_payload(job["grains"])),
        files=ChildFiles(link, Path(job["file_cache"])),
        port=port,
        directories=job["plugin_dirs"],
        renew_grains=port.grains,
        for_master=True,
    )


def _send_grains(link: BlockingLink, job: Mapping[str, Any]) -> None:
    """Collect the grains: users' `_grains` run here, so the daemon never imports them."""
    from ..common.config import MinionConfig
    from .grains import collect

    try:
        config = MinionConfig.from_mapping(unpack_payload(job["config"]))
        grains = collect(config, [Path(path) for path in job["plugin_dirs"]["grains"]])
        outcome = Outcome(dict(grains))
    except Exception as error:  # the boundary around plugin code
        log.exception("the grains could not be collected")
        outcome = Outcome(f"{type(error).__name__}: {error}", FAILED, False)
    send_result(link, pack_payload(outcome.value), outcome, False)
