"""Target expressions: one parser and one predicate, for master and minion alike.

The grammar is Salt's: a compound expression is words and the operators `and`, `or`, `not`, `(` and `)`, where `not`
binds closest and `or` least. A word is a glob on the id, or a letter, `@` and a pattern (`LETTERS`); after `G`, `P`,
`I` and `J` one character may set the delimiter (`G|@os|Debian`). Beyond Salt, parentheses may touch their words, a
backslash keeps white space in a word (`G@os:Red\\ Hat`), and every mistake is a `TargetError` that points at it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from . import matchers, pattern
from .errors import TargetError, nearest
from .matchers import DictMinion, Minion, Predicate

__all__ = ["KINDS", "LETTERS", "DictMinion", "Minion", "Target", "parse"]

LETTERS = {
    "E": "pcre",
    "L": "list",
    "G": "grain",
    "P": "grain_pcre",
    "I": "pillar",
    "J": "pillar_pcre",
    "S": "ipcidr",
    "N": "nodegroup",
}
KINDS = ("glob", *LETTERS.values(), "compound")
OPERATORS = frozenset(("and", "or", "not", "(", ")"))

MAX_EXPRESSION_CHARS = 16 * 2**20  # a list of very many ids
MAX_TERMS_CHARS = 64 * 2**10  # all that is not a list
MAX_TERMS = 10_000  # with nodegroups expanded
MAX_WORDS = 4 * MAX_TERMS
MAX_DEPTH = 50  # parentheses and nodegroups within each other
SHOWN_CHARS = 400  # of a long expression, in an error

_LETTER_OF = {kind: letter for letter, kind in LETTERS.items()}
_WITH_DELIMITER = "GPIJ"
_NEEDS = {
    "glob": "id",
    "pcre": "id",
    "list": "id",
    "grain": "grains",
    "grain_pcre": "grains",
    "pillar": "pillar",
    "pillar_pcre": "pillar",
    "ipcidr": "addresses",
}
_PRECEDENCE = {"or": 0, "and": 1}
_WORD = re.compile(r"(?:\\.|\S)+", re.DOTALL)
_OPENING = re.compile(r"\(|(?:and|or|not)(?=\()")
_TERM = re.compile(r"(?:(?=[GPIJ])(.)(.?)|([A-Za-z])(.??))@(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Word:
    """One word of an expression and where it stands."""

    text: str
    position: int


@dataclass(frozen=True, slots=True)
class _Node:
    """A parsed part of an expression: its predicate, what it reads, its text, and how closely that text binds.

    `parts` are what an operator stands between, or a nodegroup for.
    """

    test: Predicate
    needs: frozenset[str]
    text: str
    precedence: int = 2
    terms: int = 1
    parts: tuple[_Node, ...] = ()

    def leaves(self) -> Iterator[_Node]:
        """Yield the terms, in their order."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed target: ask it about a minion, or about many ids where it needs no more than those."""

    matches: Predicate
    needs: frozenset[str]
    _text: str = field(repr=False)
    _node: _Node | None = field(default=None, repr=False, compare=False)

    def explain(self, minion: Minion) -> list[tuple[str, bool]]:
        """Return each term, with nodegroups written out, and whether it matches the minion."""
        return [(leaf.text, leaf.test(minion)) for leaf in self._node.leaves()] if self._node else []

    def expand(self) -> str:
        """Return the compound expression that means the same, with nodegroups written out.

        It is to be parsed with the delimiter that this target was parsed with.
        """
        return self._text

    def select(self, ids: Iterable[str]) -> list[str]:
        """Return those of `ids` that match, in their order; only where `needs` holds nothing but `id`."""
        if self.needs != {"id"}:
            raise TargetError(f"the target needs {', '.join(sorted(self.needs))}, not only ids", expression=self._text)
        return [id_ for id_ in ids if self.matches(DictMinion(id_))]


def parse(
    expression: str | Sequence[str],
    kind: str = "compound",
    delimiter: str = ":",
    nodegroups: Mapping[str, str | Sequence[str]] | None = None,
) -> Target:
    """Parse a target of a `kind` in `KINDS`; raise `TargetError`, which points at what is wrong.

    A list is taken as the words of a compound expression, as the ids of a list, or as several patterns of which any
    may match.
    """
    if kind not in KINDS:
        near = nearest(kind, KINDS)
        raise TargetError(f"unknown kind of target {kind!r}", hint=f"did you mean {near}?" if near else _known(KINDS))
    if not isinstance(expression, str):
        expression = [str(word) for word in expression]
    scope = _Scope(delimiter, nodegroups or {})
    if kind == "compound":
        node = _Parser(expression, scope).parse()
    else:
        node = _single(expression, kind, scope)
    return Target(node.test, node.needs, node.text, node)


def _single(expression: str | list[str], kind: str, scope: _Scope) -> _Node:
    if kind == "list":
        words = [expression] if isinstance(expression, str) else expression
        ids = [id_ for word in words for id_ in matchers.split_list(word)]
        return _list_node(ids, _Source(" ".join(ids)), 0)
    patterns = [expression] if isinstance(expression, str) else expression
    nodes = [scope.term(kind, _Word(text.strip(), 0), scope.delimiter, _Source(text)) for text in patterns]
    if not nodes:
        raise TargetError("the target is empty")
    return _join("or", nodes)


class _Source:
    """The text that a word stands in, for errors: a long one is shown in part, a nodegroup by its name."""

    __slots__ = ("_group", "_text")

    def __init__(self, text: str, group: str = "") -> None:
        self._text = text
        self._group = group

    def error(self, message: str, position: int, hint: str = "") -> TargetError:
        """Make the error that points at `position`."""
        if self._group:
            message = f"nodegroup {self._group}: {message}"
        text = self._text
        if len(text) > SHOWN_CHARS:
            start = max(0, position - SHOWN_CHARS // 4)
            text, position = text[start : start + SHOWN_CHARS // 2], position - start
        return TargetError(message, expression=text, position=position, hint=hint)


class _Scope:
    """What words mean here: the delimiter, and the nodegroups with those parsed so far."""

    def __init__(self, delimiter: str, nodegroups: Mapping[str, str | Sequence[str]]) -> None:
        self.delimiter = delimiter
        self._nodegroups = nodegroups
        self._parsed: dict[str, _Node] = {}
        self._open: list[str] = []

    def term(self, kind: str, word: _Word, delimiter: str, source: _Source) -> _Node:
        """Make the node of one pattern."""
        if not word.text:
            raise source.error("the pattern is empty" if kind != "glob" else "the target is empty", word.position)
        if _ends_open(word.text):
            raise source.error("a pattern cannot end in a single backslash", word.position + len(word.text) - 1)
        if kind == "nodegroup":
            return self._nodegroup(word, source)
        if kind == "list":
            return _list_node(matchers.split_list(word.text), source, word.position)
        try:
            test = _predicate(kind, word.text, delimiter)
        except pattern.PatternError as error:
            raise source.error(str(error), word.position + error.position) from None
        except ValueError as error:
            raise source.error(str(error), word.position) from None
        return _Node(test, frozenset((_NEEDS[kind],)), self._write(kind, word.text, delimiter))

    def _write(self, kind: str, text: str, delimiter: str) -> str:
        if kind not in ("pcre", "grain_pcre", "pillar_pcre"):
            text = _guard(text)
        if kind == "glob":
            plain = text not in OPERATORS and _TERM.match(text) is None
            return _escape(text if plain else f"[{text[0]}]{text[1:]}")
        letter = _LETTER_OF[kind]
        if letter in _WITH_DELIMITER and (delimiter != self.delimiter or text.startswith("@")):
            letter += delimiter
        return f"{letter}@{_escape(text)}"

    def _nodegroup(self, word: _Word, source: _Source) -> _Node:
        name = word.text
        if name not in self._nodegroups:
            near = nearest(name, self._nodegroups)
            hint = f"did you mean {near}?" if near else _known(sorted(self._nodegroups))
            raise source.error(f"unknown nodegroup {name!r}", word.position, hint)
        if name in self._open:
            path = " -> ".join([*self._open[self._open.index(name) :], name])
            raise source.error(f"nodegroups name each other in a circle: {path}", word.position)
        if len(self._open) >= MAX_DEPTH:
            raise source.error("nodegroups are nested too deeply", word.position)
        if name not in self._parsed:
            self._open.append(name)
            self._parsed[name] = self._parse_group(name)
            self._open.pop()
        return self._parsed[name]

    def _parse_group(self, name: str) -> _Node:
        definition = self._nodegroups[name]
        if not isinstance(definition, str):
            definition = [str(word) for word in definition]
        words = definition.split() if isinstance(definition, str) else definition
        if words and not any(_special(word) for word in words):
            ids = [id_ for word in words for id_ in matchers.split_list(word)]
            return _list_node(ids, _Source(" ".join(words), name), 0)
        return _Parser(definition, self, group=name, delimiter=":").parse()


def _special(word: str) -> bool:
    """Whether a nodegroup's word makes it more than a list of ids."""
    return word in OPERATORS or _TERM.match(word) is not None or bool(set("*?[]()") & set(word))


def _predicate(kind: str, text: str, delimiter: str) -> Predicate:
    makers: dict[str, Callable[[], Predicate]] = {
        "glob": lambda: matchers.by_glob(text),
        "pcre": lambda: matchers.by_regex(text),
        "grain": lambda: matchers.by_grain(text, delimiter),
        "grain_pcre": lambda: matchers.by_grain(text, delimiter, regex=True),
        "pillar": lambda: matchers.by_pillar(text, delimiter),
        "pillar_pcre": lambda: matchers.by_pillar(text, delimiter, regex=True),
        "ipcidr": lambda: matchers.by_address(text),
    }
    return makers[kind]()


def _list_node(ids: Sequence[str], source: _Source, position: int) -> _Node:
    if not ids:
        raise source.error("the list of ids is empty", position)
    if found := next((id_ for id_ in ids if _ends_open(id_)), None):
        raise source.error(f"an id cannot end in a backslash: {found!r}", position)
    try:
        test = matchers.by_list(ids)
    except ValueError as error:
        raise source.error(str(error), position) from None
    return _Node(test, frozenset(("id",)), "L@" + _escape(",".join(ids)))


def _ends_open(text: str) -> bool:
    """Whether a text's last character is a backslash that would take the next one with it."""
    return bool((len(text) - len(text.rstrip("\\"))) % 2)


def _escape(text: str) -> str:
    """Write white space so that it stays in its word."""
    return re.sub(r"\\.|\s", lambda match: match[0] if match[0][0] == "\\" else "\\" + match[0], text, flags=re.DOTALL)


def _guard(text: str) -> str:
    """Write parentheses that would be taken off the word as classes of one character."""
    if _OPENING.match(text) or _closing("X@" + text, len(text)):
        return text.replace("(", "[(]").replace(")", "[)]")
    return text


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: match[1] if match[1].isspace() else match[0], text, flags=re.DOTALL)


def _known(names: Iterable[str]) -> str:
    shown = ", ".join(list(names)[:20])
    return f"known: {shown}" if shown else "none are defined"


def _join(operator: str, nodes: Sequence[_Node]) -> _Node:
    """Put operands together; those that only read the id are asked first."""
    if len(nodes) == 1:
        return nodes[0]
    tests = [node.test for node in sorted(nodes, key=lambda node: (node.needs != {"id"}, node.terms))]
    precedence = _PRECEDENCE[operator]
    words = [node.text if node.precedence > precedence else f"( {node.text} )" for node in nodes]
    return _Node(
        _all(tests) if operator == "and" else _any(tests),
        frozenset().union(*(node.needs for node in nodes)),
        f" {operator} ".join(words),
        precedence,
        sum(node.terms for node in nodes),
        tuple(nodes),
    )


def _all(tests: Sequence[Predicate]) -> Predicate:
    return lambda minion: all(test(minion) for test in tests)


def _any(tests: Sequence[Predicate]) -> Predicate:
    return lambda minion: any(test(minion) for test in tests)


def _negate(node: _Node) -> _Node:
    test = node.test
    text = node.text if node.precedence == 2 else f"( {node.text} )"
    text = text[4:] if text.startswith("not ") else f"not {text}"
    return _Node(lambda minion: not test(minion), node.needs, text, 2, node.terms, (node,))


class _Parser:
    """Recursive descent over the words of one compound expression."""

    def __init__(
        self, expression: str | list[str], scope: _Scope, *, group: str = "", delimiter: str | None = None
    ) -> None:
        text = expression if isinstance(expression, str) else " ".join(expression)
        self._source = _Source(text, group)
        self._scope = scope
        self._delimiter = scope.delimiter if delimiter is None else delimiter
        if len(text) > MAX_EXPRESSION_CHARS:
            raise self._source.error(f"the target has {len(text)} characters; at most {MAX_EXPRESSION_CHARS}", 0)
        if text.count(" ") > MAX_WORDS:  # before it is taken apart
            raise self._source.error(f"the target has more than {MAX_WORDS} words", 0)
        self._words = list(_split(text) if isinstance(expression, str) else _positions(expression))
        self._next = 0
        self._depth = 0
        self._terms = 0
        self._chars = 0
        self._end = len(text.rstrip())

    def parse(self) -> _Node:
        """Parse the whole expression."""
        if not self._words:
            raise self._source.error("the target is empty", 0)
        node = self._or()
        word = self._peek()
        if word is not None:
            if word.text == ")":
                raise self._source.error("this parenthesis closes nothing", word.position)
            raise self._side_by_side(word)
        return node

    def _peek(self) -> _Word | None:
        return self._words[self._next] if self._next < len(self._words) else None

    def _take(self, *texts: str) -> bool:
        word = self._peek()
        if word is None or word.text not in texts:
            return False
        self._next += 1
        return True

    def _or(self) -> _Node:
        nodes = [self._and()]
        while self._take("or"):
            nodes.append(self._and())
        return _join("or", nodes)

    def _and(self) -> _Node:
        nodes = [self._not()]
        while True:
            word = self._peek()
            # Salt reads `a not b` as `a and not b`
            if not self._take("and") and (word is None or word.text != "not"):
                return _join("and", nodes)
            nodes.append(self._not())

    def _not(self) -> _Node:
        negations = 0
        while self._take("not"):
            negations += 1
        node = self._operand()
        return _negate(node) if negations % 2 else node

    def _operand(self) -> _Node:
        word = self._peek()
        if word is None:
            raise self._unfinished()
        if word.text in ("and", "or"):
            raise self._source.error(f"{word.text!r} needs something before it", word.position)
        if word.text == ")":
            raise self._source.error("this parenthesis has nothing before it to close over", word.position)
        self._next += 1
        return self._group(word) if word.text == "(" else self._term(word)

    def _unfinished(self) -> TargetError:
        last = self._words[-1]
        return self._source.error(f"nothing follows {last.text!r}", last.position)

    def _group(self, opening: _Word) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._source.error(f"more than {MAX_DEPTH} parentheses within each other", opening.position)
        if self._next >= len(self._words):
            raise self._source.error("this parenthesis is never closed", opening.position)
        node = self._or()
        if not self._take(")"):
            word = self._peek()
            if word is not None:
                raise self._side_by_side(word)
            raise self._source.error("this parenthesis is never closed", opening.position)
        self._depth -= 1
        return node

    def _side_by_side(self, word: _Word) -> TargetError:
        hint = "write 'and' or 'or' between"
        before = self._words[self._next - 1]
        for near in (word, before):
            if near.text.lower() in OPERATORS and near.text not in OPERATORS:
                return self._source.error(f"operators are lower case: {near.text.lower()!r}", near.position)
        return self._source.error("two terms stand side by side without an operator", word.position, hint)

    def _term(self, word: _Word) -> _Node:
        kind, text, delimiter = self._read(word)
        offset = len(word.text) - len(text)
        node = self._scope.term(kind, _Word(_unescape(text), word.position + offset), delimiter, self._source)
        self._count(node, word)
        return node

    def _read(self, word: _Word) -> tuple[str, str, str]:
        """Return a word's kind, its pattern and its delimiter."""
        found = _TERM.match(word.text)
        if found is None:
            return "glob", word.text, self._delimiter
        letter, delimiter = found[1] or found[3], found[2] or found[4] or ""
        text = found[5]
        if letter not in LETTERS or (delimiter and letter not in _WITH_DELIMITER):
            return self._no_term(word, letter, delimiter)
        return LETTERS[letter], text, delimiter or self._delimiter

    def _no_term(self, word: _Word, letter: str, delimiter: str) -> tuple[str, str, str]:
        """Refuse `X@…` with a letter that means nothing; `ab@…` and `x@…` may be ids."""
        upper = letter.upper()
        if delimiter and (letter not in LETTERS or delimiter.isalnum()):
            return "glob", word.text, self._delimiter
        if letter in LETTERS:
            message = f"{letter}@ takes no delimiter"
        elif letter == upper:
            message = f"unknown letter {letter}@"
        elif upper in LETTERS:
            raise self._source.error(f"unknown letter {letter}@", word.position, f"did you mean {upper}@?")
        else:
            return "glob", word.text, self._delimiter
        letters = ", ".join(f"{known}@ {kind}" for known, kind in LETTERS.items())
        raise self._source.error(message, word.position, f"known: {letters}")

    def _count(self, node: _Node, word: _Word) -> None:
        self._terms += node.terms
        if not word.text.startswith("L@"):
            self._chars += len(word.text)
        if self._terms > MAX_TERMS or self._chars > MAX_TERMS_CHARS:
            message = f"the target is too long: at most {MAX_TERMS} terms and {MAX_TERMS_CHARS} characters beside lists"
            raise self._source.error(message, word.position)


def _positions(words: Iterable[str]) -> Iterable[_Word]:
    """Read the list form: each element is a word as it stands."""
    position = 0
    for word in words:
        yield _Word(word.strip(), position)
        position += len(word) + 1


def _split(text: str) -> Iterable[_Word]:
    """Split an expression into words, taking off parentheses that touch them."""
    depth = 0
    for found in _WORD.finditer(text):
        word, position = found[0], found.start()
        while opening := _OPENING.match(word):
            yield _Word(opening[0], position)
            depth += opening[0] == "("
            word, position = word[opening.end() :], position + opening.end()
        closing = _closing(word, depth)
        if len(word) > closing:
            yield _Word(word[: len(word) - closing], position)
        for index in range(len(word) - closing, len(word)):
            yield _Word(")", position + index)
        depth = max(0, depth - closing)


def _closing(word: str, depth: int) -> int:
    """Count the parentheses at the end of `word` that close one before it, and none within it."""
    if word.strip(")") == "":
        return len(word)
    plain = re.sub(r"\\.|\[\^?\]?[^\]]*\]", lambda match: "_" * len(match[0]), word, flags=re.DOTALL)
    if _TERM.match(word) is None:
        depth = len(word)  # an id holds no parenthesis: one too many is a mistake
    surplus = plain.count(")") - plain.count("(")
    trailing = len(plain) - len(plain.rstrip(")"))
    return max(0, min(surplus, trailing, depth))
