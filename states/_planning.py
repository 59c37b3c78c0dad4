"""What becomes of a state that meets an obstacle while it plans: it refuses, or in a dry run it leaves that open."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from ..common.context import current
from ..common.errors import CommandExecutionError, CommandNotFoundError, CtlError, PluginNotLoaded
from ..common.state.plan import Plan, refuse, uncertain

P = ParamSpec("P")


class Missing(CommandExecutionError):
    """Something that the state needs is not there; an earlier state may be what provides it."""


def planning(function: Callable[P, Plan]) -> Callable[P, Plan]:
    """Let a state function raise what stands in its way, and turn that into its plan.

    In a dry run, what an earlier state may yet provide makes the plan uncertain; in a run it refuses.
    """

    @functools.wraps(function)
    def plan(*args: P.args, **kwargs: P.kwargs) -> Plan:
        try:
            return function(*args, **kwargs)
        except (Missing, CommandNotFoundError, PluginNotLoaded) as error:
            if current().test:
                return uncertain(f"{sentence(error)}; an earlier state may change that")
            return refuse(sentence(error))
        except (CtlError, OSError) as error:
            return refuse(sentence(error))

    return plan


def sentence(error: BaseException) -> str:
    """Say what went wrong as a person would: `/etc/x: Permission denied`."""
    if isinstance(error, OSError) and not isinstance(error, CtlError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__
