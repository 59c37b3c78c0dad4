"""What the configuration grants to whom: `publisher_acl` and `external_auth`, read into rules that can be asked.

Whoever has no grant may do nothing. A list of grants holds functions (`test.*`), functions for targets
(`{'web*': [test.*]}`, or `{targets: [web*], functions: [test.*], args: {0: 'a.*'}}`), and `@runner`, `@wheel`, `@jobs`,
`@events`, with the functions or tags they are for (`{'@runner': [manage.*]}`).

A pattern of functions or users is a glob; with one of `^ $ ( ) | + { } \\` in it, a regular expression. Both are
matched whole. Targets are compound expressions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from ..common import pattern, target
from ..common.calls import Call
from ..common.errors import ConfigError, TargetError

MAX_TEXT_CHARS = pattern.MAX_SUBJECT_CHARS
_REGEX_CHARACTERS = frozenset("^$()|+{}\\")
_KEYWORD = re.compile(r"([^\d\W][\w.-]*)=(?!=)", re.DOTALL)
_WHOLE_KEYS = frozenset({"targets", "functions", "args", "kwargs"})
EVERYTHING = ("*", ".*", "*.*")
_SPECIAL = ("@runner", "@wheel", "@jobs", "@events")

Matches = Callable[[target.Target], bool]


def whole(text: str) -> pattern.Test:
    """Return a test for texts that a glob or regular expression matches whole; raises `PatternError`."""
    if text in EVERYTHING:
        return lambda subject: True
    if not _REGEX_CHARACTERS & set(text):
        return pattern.glob(text)
    return expression(text)


def expression(text: str) -> pattern.Test:
    """Return a test for texts that a regular expression matches whole; raises `PatternError`."""
    test = pattern.regex(rf"(?:{text})\Z")
    # what is longer is cut before it is matched: a match would say nothing of the rest
    return lambda subject: len(subject) <= MAX_TEXT_CHARS and test(subject)


@dataclass(frozen=True, slots=True)
class Arguments:
    """Which arguments a function may be given: by position and by name. What is not named here is refused."""

    positions: Mapping[int, pattern.Test] = field(default_factory=dict)
    words: Mapping[str, pattern.Test] = field(default_factory=dict)

    def allow(self, call: Call) -> bool:
        """Say whether every argument of a call is one of those."""
        for position, value in enumerate(call.args):
            keyword = _KEYWORD.match(value) if isinstance(value, str) else None
            # such a text may become a keyword on the minion
            if keyword and not self._fits(self.words.get(keyword[1]), value[keyword.end() :]):
                return False
            if not keyword and not self._fits(self.positions.get(position), value):
                return False
        return all(self._fits(self.words.get(key), value) for key, value in (call.kwargs or {}).items())

    @staticmethod
    def _fits(test: pattern.Test | None, value: Any) -> bool:
        return test is not None and isinstance(value, str | int | float | None) and test(str(value))


@dataclass(frozen=True, slots=True)
class Functions:
    """Some functions, by pattern, and with which arguments (None: any)."""

    text: str
    test: pattern.Test
    arguments: Arguments | None = None

    def allow(self, call: Call) -> bool:
        """Say whether a call is one of those. Only the pattern for everything allows what cannot be read."""
        if call.fun == "*":
            return self.text in EVERYTHING and self.arguments is None
        return self.test(call.fun) and (self.arguments is None or self.arguments.allow(call))


@dataclass(frozen=True, slots=True)
class Grant:
    """Functions on targets."""

    targets: Sequence[target.Target]
    functions: Sequence[Functions]

    def allows(self, call: Call) -> bool:
        """Say whether it is about such a call at all."""
        return any(functions.allow(call) for functions in self.functions)


@dataclass(frozen=True, slots=True)
class Grants:
    """Everything that somebody is granted."""

    publish: Sequence[Grant] = ()
    runners: Sequence[Functions] = ()
    wheel: Sequence[Functions] = ()
    jobs: bool = False
    events: Sequence[pattern.Test] = ()

    def __bool__(self) -> bool:
        return bool(self.publish or self.runners or self.wheel or self.jobs or self.events)

    def plus(self, other: Self) -> Grants:
        """Return these grants and others."""
        return Grants(
            (*self.publish, *other.publish),
            (*self.runners, *other.runners),
            (*self.wheel, *other.wheel),
            self.jobs or other.jobs,
            (*self.events, *other.events),
        )

    @property
    def needs_pillar(self) -> bool:
        """Whether a target of these asks for pillar."""
        return any("pillar" in one.needs for grant in self.publish for one in grant.targets)


NOTHING = Grants()


class Reader:
    """Reads one setting; mistakes are `ConfigError`s that name it and whose entry it is."""

    def __init__(self, setting: str, nodegroups: Mapping[str, Any]) -> None:
        self._setting = setting
        self._nodegroups = nodegroups

    def read(self, whose: str, given: Any) -> Grants:
        """Read the list of somebody's grants."""
        found = NOTHING
        for entry in _as_list(given):
            if isinstance(entry, str):
                special = self._special(whose, entry, None)
                found = found.plus(self._on(whose, ["*"], [entry]) if special is None else special)
            elif isinstance(entry, Mapping) and "functions" in entry and set(entry) <= _WHOLE_KEYS:
                found = found.plus(self._spelt_out(whose, entry))
            elif isinstance(entry, Mapping) and entry:
                for key, functions in entry.items():
                    special = self._special(whose, str(key), functions)
                    found = found.plus(self._on(whose, [str(key)], functions) if special is None else special)
            else:
                raise self._mistake(whose, f"{entry!r} is no grant: a function, or a mapping of targets to functions")
        return found

    def test(self, whose: str, text: Any, make: Callable[[str], pattern.Test] = whole) -> pattern.Test:
        """Compile a pattern of the configuration."""
        try:
            return make(str(text))
        except pattern.PatternError as error:
            raise self._mistake(whose, f"{text!r}: {error}") from None

    def _special(self, whose: str, name: str, given: Any) -> Grants | None:
        if not name.startswith("@"):
            return None
        name = name.removesuffix("s") if name in ("@runners", "@wheels") else name
        if name not in _SPECIAL:
            raise self._mistake(whose, f"there is no right {name!r}; there are {', '.join(_SPECIAL)}")
        functions = self._functions(whose, "*" if given is None else given)
        if name == "@runner":
            return Grants(runners=functions)
        if name == "@wheel":
            return Grants(wheel=functions)
        if name == "@events":
            return Grants(events=[one.test for one in functions])
        return Grants(jobs=True, runners=[self._one(whose, "jobs.*")])

    def _on(self, whose: str, targets: Sequence[str], functions: Any) -> Grants:
        return Grants([Grant([self._target(whose, text) for text in targets], self._functions(whose, functions))])

    def _spelt_out(self, whose: str, entry: Mapping[str, Any]) -> Grants:
        targets = [str(text) for text in _as_list(entry.get("targets", "*"))]
        if not targets:
            raise self._mistake(whose, "a grant without targets allows nothing; write '*' for every minion")
        arguments = None
        if "args" in entry or "kwargs" in entry:
            arguments = self._arguments(whose, entry)
        functions = self._functions(whose, entry["functions"], arguments)
        return Grants([Grant([self._target(whose, text) for text in targets], functions)])

    def _functions(self, whose: str, given: Any, arguments: Arguments | None = None) -> list[Functions]:
        found = []
        for item in _as_list(given):
            if isinstance(item, str):
                found.append(self._one(whose, item, arguments))
            elif isinstance(item, Mapping) and item:
                for text, limits in item.items():
                    if not isinstance(limits, Mapping) or not {"args", "kwargs"} >= set(limits):
                        raise self._mistake(whose, f"{text}: {limits!r} is no mapping of args and kwargs")
                    found.append(self._one(whose, str(text), self._arguments(whose, limits)))
            else:
                raise self._mistake(whose, f"{item!r} is no function")
        return found

    def _one(self, whose: str, text: str, arguments: Arguments | None = None) -> Functions:
        return Functions(text, self.test(whose, text), arguments)

    def _arguments(self, whose: str, given: Mapping[str, Any]) -> Arguments:
        """Read `args`, a list by position or a mapping by position and name, and `kwargs`, a mapping by name."""
        positions: dict[int, pattern.Test] = {}
        words: dict[str, pattern.Test] = {}
        args, kwargs = given.get("args") or [], given.get("kwargs") or {}
        pairs = list(args.items()) if isinstance(args, Mapping) else list(enumerate(_as_list(args)))
        if not isinstance(kwargs, Mapping):
            raise self._mistake(whose, f"kwargs: {kwargs!r} is no mapping of names to expressions")
        for key, text in [*pairs, *kwargs.items()]:
            test = self.test(whose, ".*" if text is None else text, _argument)
            if isinstance(key, int):
                positions[key] = test
            else:
                words[str(key)] = test
        return Arguments(positions, words)

    def _target(self, whose: str, text: str) -> target.Target:
        try:
            return target.parse(text, "compound", ":", self._nodegroups)
        except TargetError as error:
            raise self._mistake(whose, f"the target {text!r}: {error.message}") from None

    def _mistake(self, whose: str, words: str) -> ConfigError:
        return ConfigError(f"{words} (of {whose})", key=self._setting, path=self._setting)


def _argument(text: str) -> pattern.Test:
    return (lambda subject: True) if text == ".*" else expression(text)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


@dataclass(frozen=True, slots=True)
class Entry:
    """The grants of those whom a key of the configuration means: a user, or a group."""

    group: bool
    test: pattern.Test
    grants: Grants

    def means(self, user: str, groups: Iterable[str]) -> bool:
        """Say whether somebody is meant."""
        return any(self.test(group) for group in groups) if self.group else self.test(user)


class Acl:
    """Whom the configuration grants what. Raises `ConfigError` for what it cannot read."""

    def __init__(
        self,
        publisher: Mapping[str, Any],
        external: Mapping[str, Any],
        blacklist: Mapping[str, Any],
        nodegroups: Mapping[str, Any],
    ) -> None:
        self._publisher = _entries(Reader("publisher_acl", nodegroups), publisher)
        self._external: dict[str, list[Entry]] = {}
        self.options: dict[str, Mapping[str, Any]] = {}
        reader = Reader("external_auth", nodegroups)
        for method, users in external.items():
            if not isinstance(users, Mapping):
                raise ConfigError(f"{method}: {users!r} is no mapping of users to grants", path="external_auth")
            self.options[method] = {key[1:]: value for key, value in users.items() if str(key).startswith("^")}
            named = {key: value for key, value in users.items() if not str(key).startswith("^")}
            self._external[method] = _entries(reader, named)
        refused = Reader("publisher_acl_blacklist", nodegroups)
        self._refused_users = [refused.test("users", text) for text in _as_list(blacklist.get("users"))]
        self.refused_functions = [refused.test("modules", text) for text in _as_list(blacklist.get("modules"))]

    @property
    def methods(self) -> list[str]:
        """The methods of external authentication that the configuration names."""
        return list(self._external)

    def of_user(self, user: str, groups: Iterable[str]) -> Grants:
        """Return what a user of this machine is granted."""
        if any(test(user) for test in self._refused_users):
            return NOTHING
        return _sum(self._publisher, user, groups)

    def of_account(self, method: str, user: str, groups: Iterable[str]) -> Grants:
        """Return what somebody is granted who authenticated by a method."""
        if any(test(user) for test in self._refused_users):
            return NOTHING
        return _sum(self._external.get(method, []), user, groups)


def _sum(entries: Sequence[Entry], user: str, groups: Iterable[str]) -> Grants:
    groups, found = tuple(groups), NOTHING
    for entry in entries:
        if entry.means(user, groups):
            found = found.plus(entry.grants)
    return found


def _entries(reader: Reader, given: Mapping[str, Any]) -> list[Entry]:
    found = []
    for key, grants in given.items():
        name = str(key)
        group = name.startswith("%") or name.endswith("%")
        found.append(Entry(group, reader.test(name, name.strip("%") if group else name), reader.read(name, grants)))
    return found
