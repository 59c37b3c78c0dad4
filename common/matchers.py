"""One predicate for each kind of target term, over what is known of a minion; master and minion use the same.

A maker takes the term's text, refuses what is wrong with it (`ValueError`), and returns a closure that is cheap to ask
of ten thousand minions. The grammar around the terms is `target`'s.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from . import pattern
from .data import MISSING, lookup

# Each word of a key may be looked up in several ways; more words than this are no grain that anyone has.
MAX_KEY_WORDS = 32
MAX_LIST_IDS = 200_000


class Minion(Protocol):
    """What a target is asked of. `grain` and `pillar` return `data.MISSING` for what is not there.

    The empty key asks for the whole mapping (only terms such as `*:value` do); a view that cannot tell may answer
    `MISSING`.
    """

    @property
    def id(self) -> str: ...

    def grain(self, key: str, delimiter: str) -> Any: ...

    def pillar(self, key: str, delimiter: str) -> Any: ...

    def addresses(self) -> Iterable[str]: ...


class DictMinion:
    """A minion whose grains and pillar are at hand as mappings."""

    __slots__ = ("_grains", "_pillar", "id")

    def __init__(
        self, id: str, grains: Mapping[str, Any] | None = None, pillar: Mapping[str, Any] | None = None
    ) -> None:
        self.id = id
        self._grains = {} if grains is None else grains
        self._pillar = {} if pillar is None else pillar

    def grain(self, key: str, delimiter: str) -> Any:
        """Return the grain at `key`, or MISSING."""
        return lookup(self._grains, key, MISSING, delimiter) if key else self._grains

    def pillar(self, key: str, delimiter: str) -> Any:
        """Return the pillar value at `key`, or MISSING."""
        return lookup(self._pillar, key, MISSING, delimiter) if key else self._pillar

    def addresses(self) -> list[str]:
        """Return the IPv4 and IPv6 addresses that the grains name."""
        found: list[str] = []
        for key in ("ipv4", "ipv6"):
            values = self._grains.get(key)
            found.extend(str(value) for value in values if value) if isinstance(values, list | tuple) else None
        return found


Predicate = Callable[[Minion], bool]
Find = Callable[[str], Any]


def by_glob(text: str) -> Predicate:
    """Match the id against a glob."""
    test = pattern.glob(text)
    return lambda minion: test(minion.id)


def by_regex(text: str) -> Predicate:
    """Match the start of the id against a regular expression."""
    test = pattern.regex(text)
    return lambda minion: test(minion.id)


def by_list(ids: Iterable[str]) -> Predicate:
    """Match the ids in a list."""
    wanted = frozenset(ids)
    if len(wanted) > MAX_LIST_IDS:
        raise ValueError(f"a list of {len(wanted)} ids; at most {MAX_LIST_IDS} are allowed")
    return lambda minion: minion.id in wanted


def split_list(text: str) -> list[str]:
    """Split a list of ids at commas and white space."""
    return [word for word in re.split(r"[,\s]+", text) if word]


def by_grain(text: str, delimiter: str, *, regex: bool = False) -> Predicate:
    """Match a grain, `key:sub:glob`, or with `regex` its value against a regular expression."""
    test = nested(text, delimiter, regex=regex)
    return lambda minion: test(lambda key: minion.grain(key, delimiter))


def by_pillar(text: str, delimiter: str, *, regex: bool = False) -> Predicate:
    """Match a pillar value, as `by_grain` does a grain."""
    test = nested(text, delimiter, regex=regex)
    return lambda minion: test(lambda key: minion.pillar(key, delimiter))


def by_address(text: str) -> Predicate:
    """Match minions that have an address (IPv4 or IPv6), or one inside a network (`10.0.0.0/8`)."""
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is neither an address nor a network such as 10.0.0.0/8 or 2001:db8::/32") from None
    family = socket.AF_INET if network.version == 4 else socket.AF_INET6
    mask, wanted = int(network.netmask), int(network.network_address)

    def test(minion: Minion) -> bool:
        for address in minion.addresses():
            number = _number(family, address)
            if number is not None and number & mask == wanted:
                return True
        return False

    return test


def _number(family: socket.AddressFamily, address: str) -> int | None:
    try:
        return int.from_bytes(socket.inet_pton(family, address.partition("%")[0]), "big")
    except (OSError, ValueError):
        return None


def in_mapping(data: Mapping[str, Any], text: str, delimiter: str = ":", *, regex: bool = False) -> bool:
    """Match `key:sub:glob` against nested data, as grain targets do."""
    return nested(text, delimiter, regex=regex)(lambda key: lookup(data, key, MISSING, delimiter) if key else data)


def nested(text: str, delimiter: str, *, regex: bool = False) -> Callable[[Find], bool]:
    """Return a test of `key:sub:value` that asks for values through a `find(key)`.

    Keys and values may both hold the delimiter, so every split is tried, the longest key first. Case does not matter
    for values; any element of a list may match; a mapping matches by the name of a key, by `*`, or by what is in it.
    """
    if not delimiter:
        raise ValueError("the delimiter is empty")
    words = text.split(delimiter)
    if len(words) < 2:
        raise ValueError(f"{text!r} names no value: write key{delimiter}value, or key{delimiter}* for any")
    if len(words) > MAX_KEY_WORDS:
        raise ValueError(f"{len(words)} words between delimiters; at most {MAX_KEY_WORDS} are allowed")
    match = _Values(delimiter, regex)
    splits = [(delimiter.join(words[:index]), delimiter.join(words[index:])) for index in range(len(words) - 1, 0, -1)]
    match.check(splits)

    def test(find: Find) -> bool:
        return any(_split_matches(match, find, key, value, text) for key, value in splits)

    return test


def _split_matches(match: _Values, find: Find, key: str, value: str, text: str) -> bool:
    if key == "*":  # everything below the top: the wildcard is the mapping's to read
        return match.any(find(""), text)
    return match.any(find(key), value)


def _nothing(_subject: str) -> bool:
    return False


class _Values:
    """Compare values with the text of a term: one delimiter, one way of reading patterns."""

    __slots__ = ("_compile", "_delimiter", "_regex", "_tests")

    def __init__(self, delimiter: str, regex: bool) -> None:
        self._delimiter = delimiter
        self._regex = regex
        self._compile = pattern.regex if regex else pattern.glob
        self._tests: dict[str, pattern.Test] = {}

    def check(self, splits: Sequence[tuple[str, str]]) -> None:
        """Refuse a bad pattern now; of a regular expression, only the longest value need be one."""
        for _key, value in splits[-1:] if self._regex else splits:
            self._compile(value, ignore_case=True)

    def any(self, data: Any, text: str) -> bool:
        """Whether `data`, or what is in it, matches `text`."""
        if data is MISSING or (isinstance(data, Mapping) and not data):
            return False
        if isinstance(data, Mapping):
            return self._mapping(data, text)
        if isinstance(data, list | tuple | set | frozenset):
            return any(self._element(item, text) for item in data)
        return self._value(data, text)

    def _element(self, item: Any, text: str) -> bool:
        if isinstance(item, Mapping):
            return self._mapping(item, text)
        return self._value(item, text)

    def _value(self, value: Any, text: str) -> bool:
        return self._test(text)(value if isinstance(value, str) else str(value))

    def _test(self, text: str) -> pattern.Test:
        test = self._tests.get(text)
        if test is None:
            try:
                test = self._compile(text, ignore_case=True)
            except pattern.PatternError:
                test = _nothing  # a tail of a regular expression that was split at its own delimiter
            self._tests[text] = test
        return test

    def _mapping(self, data: Mapping[Any, Any], text: str) -> bool:
        wildcard = text.startswith("*" + self._delimiter)
        if wildcard:
            text = text[1 + len(self._delimiter) :]
        if text == "*" or any(self._value(key, text) for key in data) or self._below(data, text):
            return True
        return wildcard and any(self.any(value, text) for value in data.values())

    def _below(self, data: Mapping[Any, Any], text: str) -> bool:
        words = text.split(self._delimiter)
        for index in range(len(words) - 1, 0, -1):
            key, rest = self._delimiter.join(words[:index]), self._delimiter.join(words[index:])
            found = data if key == "*" else lookup(data, key, MISSING, self._delimiter)
            if found is not MISSING and self.any(found, text if key == "*" else rest):
                return True
        return False
