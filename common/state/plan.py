"""What a state function returns: a plan of what it would change, and the steps that change it.

A state function reads the machine and returns a `Plan`; it changes nothing itself. A dry run shows the plan, a real
run applies it, so the two cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Changes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One action: a sentence, and the call that does it and returns what it changed (None adds nothing).

    `run` raises `CommandExecutionError` or `OSError` where it cannot do its work; later steps are then not run.
    """

    describe: str
    run: Callable[[], Changes | None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a state would do.

    `result`: True, nothing to do; None, there are steps; False, it cannot be done. `changes` predicts them in the
    shape that Salt's users know. `certain` is False where the plan rests on what an earlier state would provide, or
    where only running can tell (a command). `done` is the comment after the steps have run (default: `comment`).
    """

    result: bool | None
    comment: str
    changes: Changes = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    certain: bool = True
    warnings: tuple[str, ...] = ()
    done: str = ""
    # After the steps: decide result and comment from what they observed. None: True and `done`.
    conclude: Callable[[dict[str, Any]], tuple[bool, str]] | None = None
    # Keys of Salt's return that only some states set (skip_watch, sub_state_run, ...).
    extra: Mapping[str, Any] = field(default_factory=dict)


def same(why: str, warnings: tuple[str, ...] = ()) -> Plan:
    """Plan nothing: the machine is already as wanted, and `why` says so."""
    return Plan(result=True, comment=why, warnings=warnings)


def refuse(why: str, changes: Changes | None = None) -> Plan:
    """Plan nothing because it cannot be done, and `why` says what stands in the way."""
    return Plan(result=False, comment=why, changes=changes or {})


def change(comment: str, changes: Changes, *steps: Step, done: str = "", certain: bool = True) -> Plan:
    """Plan `steps`, which are predicted to make `changes`; `comment` is for the dry run, `done` for afterwards."""
    return Plan(result=None, comment=comment, changes=changes, steps=steps, done=done or comment, certain=certain)


def opaque(
    why: str,
    run: Callable[[], Changes | None],
    conclude: Callable[[dict[str, Any]], tuple[bool, str]] | None = None,
) -> Plan:
    """Plan one step whose changes only running it can tell (a command)."""
    return Plan(result=None, comment=why, steps=(Step(why, run),), certain=False, conclude=conclude)


def uncertain(why: str, changes: Changes | None = None) -> Plan:
    """Plan for a dry run where what this state needs would be provided by an earlier one."""
    return Plan(result=None, comment=why, changes=changes or {}, certain=False)
