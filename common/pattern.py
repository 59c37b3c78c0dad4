"""Compile the globs and regular expressions that people send, with limits, into plain tests of a string.

Globs are `fnmatch`'s; regular expressions are Python's, matched from the start. A backtracking engine can be made to
run for ever by a short pattern (`(a+)+$`, `(a|a)*`), so only patterns that cannot do that go to it: those with few
open repeats and none inside another. The others go to `automaton`, which is linear; what that one does not know
(look-around and back-references beside nested repeats) is refused.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from .automaton import Automaton, Unsupported

MAX_PATTERN_CHARS = 4096
MAX_SUBJECT_CHARS = 4096  # what a regular expression gets to see of a value
MAX_OPEN_REPEATS = 4  # for the backtracking engine: at worst it takes the subject's length to this power

Test = Callable[[str], bool]

_parser: Any = importlib.import_module("re._parser")
_constants: Any = importlib.import_module("re._constants")


class PatternError(ValueError):
    """A pattern that cannot be used; `position` is the offset of the fault in it, where that is known."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


@functools.lru_cache(maxsize=1024)
def glob(text: str, *, ignore_case: bool = False) -> Test:
    """Return a test for strings that the glob `text` matches whole."""
    _check_length(text)
    if text and not text.strip("*"):
        return _anything
    if ignore_case:
        folded = glob(text.lower())
        return lambda subject: folded(subject.lower())
    if not set("*?[") & set(text):
        return lambda subject: subject == text
    match = re.compile(fnmatch.translate(text)).match
    return lambda subject: match(subject) is not None


@functools.lru_cache(maxsize=1024)
def regex(text: str, *, ignore_case: bool = False) -> Test:
    """Return a test for strings whose start the regular expression `text` matches."""
    _check_length(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notes on style, for a programmer
            return _compile(text, re.IGNORECASE if ignore_case else 0)
    except re.error as error:
        raise PatternError(f"bad regular expression: {error.msg}", error.pos or 0) from None
    except Unsupported as error:
        raise PatternError(f"it could run for ever, with its nested or many repeats beside {error}") from None
    except (RecursionError, OverflowError):
        raise PatternError("the regular expression is nested too deeply, or repeats too much") from None


def _anything(_subject: str) -> bool:
    return True


def _check_length(text: str) -> None:
    if len(text) > MAX_PATTERN_CHARS:
        raise PatternError(f"the pattern has {len(text)} characters; at most {MAX_PATTERN_CHARS} are allowed")


def _compile(text: str, flags: int) -> Test:
    compiled = re.compile(text, flags)
    tree = _parser.parse(text, flags)
    if _is_tame(tree):
        match = compiled.match
        return lambda subject: match(subject[:MAX_SUBJECT_CHARS]) is not None
    linear = Automaton(tree).match
    return lambda subject: linear(subject[:MAX_SUBJECT_CHARS])


def _is_tame(tree: Any) -> bool:
    """Whether backtracking over `tree` is bounded: few open repeats, and no choice inside any repeat."""
    repeats = list(_repeats(tree))
    return len(repeats) <= MAX_OPEN_REPEATS and not any(_has_choice(body) for body in repeats)


def _repeats(tree: Any) -> Iterator[Any]:
    """Yield the bodies of the repeats that can take different lengths, or go round more than once."""
    for operation, argument in tree:
        if operation in (_constants.MAX_REPEAT, _constants.MIN_REPEAT) and argument[1] > 1:
            yield argument[2]
        for child in _children(operation, argument):
            yield from _repeats(child)


def _has_choice(body: Any) -> bool:
    choices = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.BRANCH, _constants.GROUPREF)
    return any(
        operation in choices or any(_has_choice(child) for child in _children(operation, argument))
        for operation, argument in body
    )


def _children(operation: Any, argument: Any) -> list[Any]:
    """Return the sub-patterns of one part of the tree."""
    found: list[Any] = []
    waiting = [argument]
    while waiting:
        item = waiting.pop()
        if isinstance(item, _parser.SubPattern):
            found.append(item)
        elif isinstance(item, list | tuple) and operation is not _constants.IN:
            waiting.extend(item)
    return found
