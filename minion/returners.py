"""Hand what a job returned to users' returners: plugins `_returners/NAME.py` with `returner(ret)`, as in Salt.

They are called once the return itself is on its way, which nothing that they do can change: one that is not there, or
fails, is an error in the log.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from ..common import permissions
from ..common.context import Context
from ..common.errors import PluginError
from ..common.extmods import load_directories
from ..common.loader import Loader
from ..common.secret import MASK, redact
from ..common.secret_arguments import masked
from ..common.wire import unpack_payload
from .execute import Outcome

log = logging.getLogger(__name__)

SETTING = "return"
FUNCTION = "returner"
SECONDS = 60.0  # that one may take in a job's process


def hand_over(
    context: Context,
    named: Sequence[str],
    given: Mapping[str, Any],
    outcome: Outcome,
    packed: bytes,
    *,
    for_master: bool,
    secret: bool = False,
    seconds: float = 0.0,
) -> None:
    """Call the returners of this minion's setting, then those that were `named`, each with a return of its own.

    `given` is the job's payload, and `packed` what was returned, as the master gets it. With `secret`, no argument is
    shown. What the master names is subject to `allowed_functions` (`for_master`), as functions are. Each returner may
    take `seconds` (0: as long as it likes).
    """
    loader = Loader("returners", None, [Path(path) for path in load_directories(context.config)["returners"]], context)
    if for_master:
        loader.refusal = permissions.of_states(context.config)
    envelope = {
        "jid": context.jid,
        "id": context.id,
        "fun": given["fun"],
        "fun_args": _shown(context, given, secret),
        "retcode": outcome.retcode,
        "success": outcome.success,
        **({"out": outcome.out} if outcome.out else {}),
    }
    own = context.config.get(SETTING) or []
    for name in dict.fromkeys([*own, *named]):
        find = loader.find if name in own else loader.__getitem__
        _call(name, find, {**envelope, "return": unpack_payload(packed)}, seconds)


def _call(name: str, find: Callable[[str], Any], ret: dict[str, Any], seconds: float) -> None:
    try:
        with _at_most(seconds):
            find(f"{name}.{FUNCTION}")(ret)
    except PluginError as error:
        log.error("the returner %s was not called: %s", name, redact(error.message))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the boundary around plugin code: a plugin may even call sys.exit
        log.error("the returner %s failed: %s", name, redact(f"{type(error).__name__}: {error}"))
        log.debug("the returner failed:\n%s", redact(traceback.format_exc()))


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise `TimeoutError` in what takes longer; a job's process has no other use for this signal."""
    if not seconds:
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TimeoutError(f"it took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _shown(context: Context, given: Mapping[str, Any], secret: bool) -> list[Any]:
    """Return the arguments as they may be shown: keywords at the end, secrets masked."""
    arg, kwarg = given.get("arg") or [], given.get("kwarg") or {}
    if secret:
        return [MASK for _ in arg] + [dict.fromkeys(kwarg, MASK)] * bool(kwarg)

    def find(fun: str) -> Callable[..., Any] | None:
        try:
            return context.functions.definition(fun) if isinstance(context.functions, Loader) else None
        except PluginError:
            return None

    shown = masked(given, find=find) or {"arg": arg, "kwarg": kwarg}
    return [*shown["arg"], shown["kwarg"]] if kwarg else list(shown["arg"])
