"""Match a regular expression in time linear in the subject, for patterns whose backtracking could run for ever.

The pattern's tree (the standard library's own) becomes a nondeterministic automaton, and all its states are followed
at once; sets of states that were seen are remembered, so most steps are one look-up. It knows what regular languages
know: no look-around, no back-references, no word boundaries; those raise `Unsupported`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_NODES = 2000
MAX_REMEMBERED = 5000  # steps and closures; forgotten all together

_constants: Any = importlib.import_module("re._constants")
_parser: Any = importlib.import_module("re._parser")
_compiler: Any = importlib.import_module("re._compiler")

_START = (_constants.AT_BEGINNING, _constants.AT_BEGINNING_STRING)
_CHARACTERS = (_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY)
_GREEDY_OR_NOT = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)

_WORDS = {
    "ASSERT": "a look-around",
    "ASSERT_NOT": "a look-around",
    "GROUPREF": "a back-reference",
    "GROUPREF_EXISTS": "a back-reference",
    "AT": "a word boundary",
}

# where the subject stands: more follows, the end, or a last newline (before which `$` also holds)
_MORE, _END, _LAST_NEWLINE = range(3)


class Unsupported(ValueError):
    """The pattern needs more than a finite automaton, or too large a one."""


@dataclass(slots=True)
class _Node:
    """A state: it takes a character that passes `test`, or asks for a place (`at`), or does neither."""

    after: list[int] = field(default_factory=list)
    test: Callable[[str], object] | None = None
    at: Any = None


class Automaton:
    """A compiled pattern; `match` tells whether a subject's start matches it."""

    def __init__(self, tree: Any) -> None:
        self._nodes: list[_Node] = []
        self._state = tree.state
        flags = tree.state.flags
        if flags & re.MULTILINE:
            raise Unsupported("multi-line mode")
        last = self._node()
        self._accept = last
        self._start = frozenset((self._sequence(tree, last, flags),))
        self._closures: dict[tuple[frozenset[int], bool, int], frozenset[int]] = {}
        self._steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def match(self, subject: str) -> bool:
        """Whether the pattern matches at the start of `subject`."""
        states, length = self._start, len(subject)
        for position in range(length + 1):
            place = _place(subject, position, length)
            states = self._close(states, position == 0, place)
            if self._accept in states:
                return True
            if not states or position == length:
                return False
            states = self._step(states, subject[position])
        return False

    def _close(self, states: frozenset[int], first: bool, place: int) -> frozenset[int]:
        key = (states, first, place)
        found = self._closures.get(key)
        if found is None:
            if len(self._closures) >= MAX_REMEMBERED:
                self._closures.clear()
            found = self._closures[key] = self._closure(states, first, place)
        return found

    def _closure(self, states: frozenset[int], first: bool, place: int) -> frozenset[int]:
        seen, waiting = set(states), list(states)
        while waiting:
            node = self._nodes[waiting.pop()]
            if node.test is not None or (node.at is not None and not _holds(node.at, first, place)):
                continue
            fresh = [index for index in node.after if index not in seen]
            seen.update(fresh)
            waiting.extend(fresh)
        return frozenset(index for index in seen if self._nodes[index].test is not None or index == self._accept)

    def _step(self, states: frozenset[int], char: str) -> frozenset[int]:
        key = (states, char)
        found = self._steps.get(key)
        if found is None:
            if len(self._steps) >= MAX_REMEMBERED:
                self._steps.clear()
            found = self._steps[key] = frozenset(self._after(states, char))
        return found

    def _after(self, states: frozenset[int], char: str) -> set[int]:
        found: set[int] = set()
        for index in states:
            node = self._nodes[index]
            if node.test is not None and node.test(char):
                found.update(node.after)
        return found

    # Building goes from the end to the start: each part is told which node follows it, and returns its first.

    def _node(self, *after: int, **kind: Any) -> int:
        if len(self._nodes) >= MAX_NODES:
            raise Unsupported(f"more than {MAX_NODES} steps once its repeats are written out")
        self._nodes.append(_Node(list(after), **kind))
        return len(self._nodes) - 1

    def _sequence(self, tree: Sequence[Any], after: int, flags: int) -> int:
        for operation, argument in reversed(list(tree)):
            after = self._part(operation, argument, after, flags)
        return after

    def _part(self, operation: Any, argument: Any, after: int, flags: int) -> int:
        if operation in _CHARACTERS:
            return self._node(after, test=self._character(operation, argument, flags))
        if operation is _constants.SUBPATTERN:
            _group, added, removed, body = argument
            return self._sequence(body, after, (flags | added) & ~removed)
        if operation is _constants.BRANCH:
            return self._node(*(self._sequence(branch, after, flags) for branch in argument[1]))
        if operation in _GREEDY_OR_NOT:
            least, most, body = argument
            return self._repeat(least, most, body, after, flags)
        if operation is _constants.AT and argument in (*_START, _constants.AT_END, _constants.AT_END_STRING):
            return self._node(after, at=argument)
        raise Unsupported(_WORDS.get(str(operation), "what only backtracking knows"))

    def _character(self, operation: Any, argument: Any, flags: int) -> Callable[[str], object]:
        """Let the engine itself judge one character, so that classes and case mean the same."""
        one = _parser.SubPattern(self._state, [(operation, argument)])
        compiled: re.Pattern[str] = _compiler.compile(one, flags)
        return compiled.match

    def _repeat(self, least: int, most: int, body: Any, after: int, flags: int) -> int:
        if most == _constants.MAXREPEAT:
            loop = self._node(after)
            self._nodes[loop].after.append(self._sequence(body, loop, flags))
            after = loop
        else:
            end = after
            for _ in range(most - least):
                after = self._node(end, self._sequence(body, after, flags))
        for _ in range(least):
            after = self._sequence(body, after, flags)
        return after


def _place(subject: str, position: int, length: int) -> int:
    if position == length:
        return _END
    return _LAST_NEWLINE if position == length - 1 and subject[position] == "\n" else _MORE


def _holds(at: Any, first: bool, place: int) -> bool:
    if at in _START:
        return first
    return place == _END or (place == _LAST_NEWLINE and at is _constants.AT_END)
