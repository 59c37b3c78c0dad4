"""Salt's dialect of YAML, read through libyaml: what a key's line is, and what is refused.

Duplicate keys are errors. `0644` is the number 644. Dates stay text. Python tags are refused. An alias is expanded
into a copy of its own, up to a limit, so no two places of the result share a mutable value.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from . import collector
from .errors import RenderError

MAX_ALIASED_NODES = 250_000
MAX_DEPTH = 200
EXCERPT_COLUMNS = 160
# Keys of the first three levels (ID, state, argument) have their lines kept.
MARKED_LEVELS = 3

Path = tuple[str, ...]
_TAG = "tag:yaml.org,2002:"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_constructor = SafeConstructor()
# What may nest deeply: long runs of indicators, far indentation, or many brackets. libyaml's composer recurses in C
# and would overflow the stack, so such a text is first checked event by event.
_SUSPECT = re.compile(r"^[ \t]{400,}|(?:[-?:][ \t]+){50,}", re.MULTILINE)
_SUSPECT_BRACKETS = 400


def load(text: str, *, path: str = "", marks: dict[Path, int] | None = None) -> Any:
    """Read one YAML document; fill `marks` with the line (from 1) of each key of its first levels.

    Raises `RenderError` with the line at fault.
    """
    with _reading(text, path) as loader:
        node = loader.get_single_node()
        return None if node is None else _Builder(marks).build(node, (), 0)


def load_all(text: str, *, path: str = "") -> list[Any]:
    """Read every document of a YAML stream."""
    documents = []
    with _reading(text, path) as loader:
        while loader.check_node():
            documents.append(_Builder(None).build(loader.get_node(), (), 0))
    return documents


@contextlib.contextmanager
def _reading(text: str, path: str) -> Iterator[Any]:
    """Open a loader; turn its errors into ours. With the collector at work, reading would be four times as slow."""
    loader = None
    try:
        with collector.paused():
            _check_depth(text)
            loader = _Loader(text)
            yield loader
    except yaml.MarkedYAMLError as error:
        raise _explain(error, text, path) from None
    except yaml.YAMLError as error:
        raise RenderError(str(error), path=path or None) from None
    finally:
        if loader is not None:
            loader.dispose()


def _check_depth(text: str) -> None:
    brackets = text.count("[") + text.count("{") - text.count("[]") - text.count("{}")
    if brackets < _SUSPECT_BRACKETS and not _SUSPECT.search(text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                problem = f"this is nested more than {MAX_DEPTH} levels deep"
                mark: Any = event.start_mark
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def dump(data: Any, *, flow: bool | None = False, **options: Any) -> str:
    """Write `data` as YAML that `load` reads back; unknown objects are written as their text."""
    options.setdefault("sort_keys", False)
    options.setdefault("allow_unicode", True)
    return str(yaml.dump(data, Dumper=_Dumper, default_flow_style=flow, **options))


def excerpt(text: str, line: int, around: int = 3) -> str:
    """Return the lines about `line` (from 1), numbered, with an arrow at it."""
    lines = text.splitlines()
    first, last = max(1, line - around), min(len(lines), line + around)
    return "\n".join(
        f"{'-->' if n == line else '   '} {n:4} | {lines[n - 1][:EXCERPT_COLUMNS]}" for n in range(first, last + 1)
    )


def _explain(error: yaml.MarkedYAMLError, text: str, path: str) -> RenderError:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else None
    message = error.problem or error.context or "this is not YAML"
    if error.problem and error.context and not message.startswith("found conflicting"):
        message = f"{message} {error.context}"
    hint = _hint(message, text.splitlines()[line - 1] if line and line <= len(text.splitlines()) else "")
    shown = excerpt(text, line) if line else ""
    return RenderError(message, path=path or None, line=line, excerpt=shown, hint=hint)


def _hint(message: str, line: str) -> str:
    if "\t" in line and "cannot start any token" in message:
        return "YAML does not allow tabs for indentation"
    if "{{" in line or "{%" in line:
        return "a value that begins with a brace must be quoted"
    if "mapping values are not allowed" in message:
        return "look for a missing quote, or a line that is indented too far"
    return ""


def _fail(problem: str, node: Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


class _Builder:
    """Builds plain data out of composed nodes."""

    def __init__(self, marks: dict[Path, int] | None) -> None:
        self.marks = marks
        self.done: set[int] = set()
        self.open: set[int] = set()
        self.aliased = 0
        self.in_alias = 0

    def build(self, node: Node, path: Path | None, depth: int) -> Any:
        if self.in_alias:
            self._count(node)
        if isinstance(node, ScalarNode):
            return _scalar(node)
        if depth > MAX_DEPTH:
            raise _fail(f"this is nested more than {MAX_DEPTH} levels deep", node)
        identity = id(node)
        if identity in self.open:
            raise _fail("an alias refers to what it is part of", node)
        again = identity in self.done
        self.in_alias += again
        self.open.add(identity)
        try:
            return self._collection(node, path, depth)
        finally:
            self.open.discard(identity)
            self.done.add(identity)
            self.in_alias -= again

    def _count(self, node: Node) -> None:
        self.aliased += 1
        if self.aliased > MAX_ALIASED_NODES:
            raise _fail(f"the aliases of this document expand to more than {MAX_ALIASED_NODES} values", node)

    def _collection(self, node: Node, path: Path | None, depth: int) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if isinstance(node, SequenceNode):
            if kind in ("seq", "python/list"):
                return [self.build(child, path, depth + 1) for child in node.value]
            if kind in ("omap", "pairs"):
                pairs = [next(iter(self.build(child, None, depth + 1).items())) for child in node.value]
                return dict(pairs) if kind == "omap" else pairs
        if isinstance(node, MappingNode):
            if kind in ("map", "omap"):
                return self._mapping(node, path, depth)
            if kind == "set":
                return set(self._mapping(node, None, depth))
        raise _fail(f"the tag {node.tag!r} is not allowed here", node)

    def _mapping(self, node: MappingNode, path: Path | None, depth: int) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        own: set[Any] = set()
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                for key, value in self._merged(value_node, depth).items():
                    result.setdefault(key, value)
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                continue
            key = key_node.value if key_node.tag == _TAG + "value" else self.build(key_node, None, depth + 1)
            try:
                known = key in own
            except TypeError:
                raise _fail("a list or mapping cannot be a key; quote what begins with a brace", key_node) from None
            if known:
                raise _fail(f"found conflicting ID '{key}'", key_node)
            own.add(key)
            result[key] = self.build(value_node, self._mark(path, key, key_node), depth + 1)
        return result

    def _mark(self, path: Path | None, key: Any, node: Node) -> Path | None:
        if self.marks is None or path is None or len(path) >= MARKED_LEVELS:
            return None
        path = (*path, str(key))
        self.marks.setdefault(path, node.start_mark.line + 1)
        return path

    def _merged(self, node: Node, depth: int) -> dict[Any, Any]:
        if isinstance(node, MappingNode):
            found = self.build(node, None, depth + 1)
            return found if isinstance(found, dict) else {}
        if isinstance(node, SequenceNode):
            result: dict[Any, Any] = {}
            for child in node.value:
                if not isinstance(child, MappingNode):
                    raise _fail("only mappings can be merged", child)
                for key, value in self.build(child, None, depth + 1).items():
                    result.setdefault(key, value)
            return result
        raise _fail("only a mapping or a list of mappings can be merged", node)


def _scalar(node: ScalarNode) -> Any:
    build = _SCALARS.get(node.tag)
    if build is None:
        raise _fail(f"the tag {node.tag!r} is not allowed here", node)
    try:
        return build(node)
    except (ValueError, OverflowError) as error:
        raise _fail(str(error), node) from None


def _integer(node: ScalarNode) -> int:
    digits = node.value
    if len(digits) > 1 and digits[0] == "0" and not digits.startswith(("0b", "0x")):
        digits = digits.lstrip("0").lstrip("_") or "0"
    return int(_constructor.construct_yaml_int(ScalarNode(node.tag, digits)))


def _binary(node: ScalarNode) -> bytes:
    text = "".join(node.value.split())
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError(f"this is not base64: {error}") from None


_SCALARS: dict[str, Callable[[ScalarNode], Any]] = {
    _TAG + "str": lambda node: node.value,
    _TAG + "python/unicode": lambda node: node.value,
    _TAG + "python/str": lambda node: node.value,
    _TAG + "timestamp": lambda node: node.value,
    _TAG + "value": lambda node: node.value,
    _TAG + "merge": lambda node: node.value,
    _TAG + "null": lambda node: None,
    _TAG + "bool": lambda node: _constructor.bool_values[node.value.lower()],
    _TAG + "int": _integer,
    _TAG + "float": _constructor.construct_yaml_float,
    _TAG + "binary": _binary,
}


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes any mapping as a map, any other object as its text; never writes aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent(dumper: Any, data: Any) -> Node:
    if hasattr(data, "items"):
        node: Node = dumper.represent_mapping(_TAG + "map", list(data.items()))
    elif isinstance(data, tuple | frozenset):
        node = dumper.represent_sequence(_TAG + "seq", list(data))
    else:
        node = dumper.represent_str(str(data))
    return node


_Dumper.add_representer(tuple, _represent)
_Dumper.add_multi_representer(object, _represent)
