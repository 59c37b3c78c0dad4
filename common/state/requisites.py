"""Requisites: resolve references between chunks, find cycles, and put the chunks in the order they run.

The graph's nodes are chunks, and one more for each chunk that a `prereq` wants planned ahead of its turn. Work is
linear in nodes and edges, but for the heap that keeps independent chunks in their declared order.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any

from ..errors import nearest
from .low import REQUISITES, Chunk
from .problems import at
from .tree import is_glob

# Orders beyond every declared one: where `last` and negative orders go.
LAST_ORDER = 1_000_000
_CAP_STEP = 100
_WEIGHT = {kind: weight for weight, kind in enumerate(REQUISITES)}
# The order in which a chunk's requisites are resolved.
_RESOLVED = (
    "require",
    "require_any",
    "watch",
    "watch_any",
    "prereq",
    "onfail",
    "onfail_any",
    "onfail_all",
    "onchanges",
    "onchanges_any",
)


@dataclass(slots=True, eq=False)
class Node:
    """A chunk at its turn, or (`check`) planned ahead for a prereq."""

    chunk: Chunk
    tag: str
    check: bool = False
    # (kind, node) of what this one waits for, and of what waits for it; as dicts, so that none is there twice.
    before: dict[tuple[str, Node], None] = field(default_factory=dict)
    after: dict[tuple[str, Node], None] = field(default_factory=dict)
    key: tuple[float, float] | None = None
    checked_by: Node | None = None

    def requisites(self) -> Iterable[tuple[str, Node]]:
        """What this node depends on, as (kind, node)."""
        return self.before


@dataclass(slots=True)
class Program:
    """Nodes in the order they run, and the listeners, which come after all of them."""

    nodes: list[Node] = field(default_factory=list)
    # For each listening chunk, the chunks that it listens to.
    listeners: list[tuple[Chunk, list[Chunk]]] = field(default_factory=list)

    @property
    def chunks(self) -> list[Chunk]:
        """The chunks in order, each once."""
        return [node.chunk for node in self.nodes if not node.check]

    @property
    def lows(self) -> list[dict[str, Any]]:
        """The low data in order; a chunk that a prereq plans ahead appears at both of its turns."""
        return [node.chunk.low for node in self.nodes]


class Graph:
    """Resolves the references between chunks. `problems` holds a sentence for each that leads nowhere."""

    def __init__(
        self,
        chunks: Iterable[Chunk],
        *,
        sls: Collection[str] = (),
        disabled: Collection[str] = (),
        broken: Collection[str] = (),
    ) -> None:
        self.nodes: dict[str, Node] = {}
        self.checks: list[Node] = []
        self.problems: list[str] = []
        self.listeners: list[tuple[Chunk, list[Chunk]]] = []
        self.disabled = disabled
        self.broken = broken
        self.cap = 1
        self._sls: dict[str, dict[Node, None]] = {name: {} for name in sls}
        self._known: dict[str, dict[str, dict[Node, None]]] = {"id": {}}
        self._globs: dict[tuple[str, str], list[Node]] = {}
        self._chunks = list(chunks)
        for chunk in self._chunks:
            self._add(chunk)

    def _add(self, chunk: Chunk) -> None:
        tag = chunk.tag
        node = self.nodes.get(tag)
        if node is None:
            node = self.nodes[tag] = Node(chunk, tag)
        else:
            node.chunk = chunk
        low = chunk.low
        by_state = self._known.setdefault(low["state"], {})
        for names in (by_state, self._known["id"]):
            names.setdefault(low["name"], {})[node] = None
            names.setdefault(low["__id__"], {})[node] = None
        for sls in (low.get("__sls__"), *low.get("__sls_included_from__", ())):
            if sls:
                self._sls.setdefault(sls, {})[node] = None

    def connect(self) -> None:
        """Resolve every requisite of every chunk."""
        for chunk in self._chunks:
            node = self.nodes[chunk.tag]
            problems = len(self.problems)
            for kind in _RESOLVED:
                if kind in chunk.low and kind not in self.disabled:
                    self._connect(node, kind, chunk.low[kind])
            declared = chunk.low.get("order")
            if len(self.problems) == problems and type(declared) is int and declared > max(self.cap - 1, 0):
                self.cap = declared + _CAP_STEP
        for chunk in self._chunks:
            self._listen(chunk)

    def _connect(self, node: Node, kind: str, references: Any) -> None:
        for reference in references if isinstance(references, list) else [references]:
            key, value = _read(reference)
            if value is None:
                continue
            if not isinstance(value, str):
                self._problem(
                    node.chunk,
                    f"Requisite [{kind}: {key}] in state [{node.chunk.name}] in SLS [{node.chunk.sls}] must have a "
                    "string as the value",
                )
                continue
            found = self.find(key, value)
            if found is None:
                self._unknown(node.chunk, kind, key, value)
                continue
            for required in found:
                if kind == "prereq":
                    self._connect_prereq(node, required)
                else:
                    self._edge(required, node, kind)
                    if node.checked_by is not None:
                        self._edge(required, node.checked_by, kind)

    def find(self, key: str, value: str) -> list[Node] | None:
        """Find what a reference names: several nodes for a glob or an SLS, None where there is nothing such."""
        names = self._sls if key == "sls" else self._known.get(key, {})
        if value in names:
            return list(names[value])
        if value in self.broken:
            return []
        if not is_glob(value):
            return None
        if (key, value) not in self._globs:
            matching = [nodes for name, nodes in names.items() if fnmatch.fnmatch(name, value)]
            self._globs[key, value] = list(dict.fromkeys(node for nodes in matching for node in nodes))
        found = self._globs[key, value]
        return found if found or key == "sls" else None

    def _edge(self, first: Node, then: Node, kind: str) -> None:
        first.after[kind, then] = None
        then.before[kind, first] = None

    def _connect_prereq(self, node: Node, required: Node) -> None:
        """Have `required` planned ahead of `node`, and run after it."""
        node.chunk.low["__prerequiring__"] = True
        required.chunk.low["__prereq__"] = True
        if required.checked_by is None:
            required.checked_by = Node(required.chunk, f"{required.tag}_|-__prereq_test__", check=True)
            self.checks.append(required.checked_by)
            for kind, before in list(required.before):
                if kind != "prereq":
                    self._edge(before, required.checked_by, kind)
        self._edge(required.checked_by, node, "prereq")
        self._edge(node, required, "require")
        if node.checked_by is not None:
            self._edge(required.checked_by, node.checked_by, "prereq")

    def _unknown(self, chunk: Chunk, kind: str, key: str, value: str) -> None:
        names = self._sls if key == "sls" else self._known.get(key, {})
        near = nearest(value, names)
        if near is None and key not in ("sls", "id") and value in self._known["id"]:
            other = next(iter(self._known["id"][value])).chunk.state
            hint = f" (did you mean '{other}: {value}'?)"
        else:
            hint = f" (did you mean '{near}'?)" if near else ""
        self._problem(
            chunk,
            f"Referenced state does not exist for requisite [{kind}: ({key}: {value})] in state [{chunk.name}] "
            f"in SLS [{chunk.sls}]{hint}",
        )

    def _problem(self, chunk: Chunk, text: str) -> None:
        self.problems.append(at(text, chunk.place))

    def _listen(self, chunk: Chunk) -> None:
        for reference in _as_list(chunk.low.get("listen")):
            key, value = _read(reference)
            found = self.find(key, value) if isinstance(value, str) else None
            if found is None:
                self._unknown(chunk, "listen", key, str(value))
            else:
                self.listeners.append((chunk, [node.chunk for node in found]))
        for reference in _as_list(chunk.low.get("listen_in")):
            key, value = _read(reference)
            found = self.find(key, value) if isinstance(value, str) else None
            if found is None:
                self._unknown(chunk, "listen_in", key, str(value))
            else:
                self.listeners += [(node.chunk, [chunk]) for node in found]


def _as_list(references: Any) -> list[Any]:
    if references is None:
        return []
    return references if isinstance(references, list) else [references]


def _read(reference: Any) -> tuple[str, Any]:
    """Take a reference apart: `{pkg: nginx}`, `{sls: web}` or a bare ID."""
    if not isinstance(reference, dict):
        return "id", reference
    key, value = next(iter(reference.items()), ("", None))
    return str(key).split(".", 1)[0], value


def order(graph: Graph) -> tuple[Program, list[str]]:
    """Sort the graph: requisites first, then declared order. Names the cycle where there is one; then what is part of
    it, or waits for it, comes last in no order."""
    nodes = [*graph.nodes.values(), *graph.checks]
    waiting = {node: len(node.before) for node in nodes}
    heap = [(_key(node, graph.cap), node.tag, number) for number, node in enumerate(nodes) if not waiting[node]]
    numbers = {node: number for number, node in enumerate(nodes)}
    heapify(heap)
    ordered: list[Node] = []
    while heap:
        node = nodes[heappop(heap)[2]]
        ordered.append(node)
        for _kind, then in node.after:
            waiting[then] -= 1
            if not waiting[then]:
                heappush(heap, (_key(then, graph.cap), then.tag, numbers[then]))
    if len(ordered) < len(nodes):
        rest = [node for node in nodes if waiting[node]]
        return Program([*ordered, *rest]), [_describe_cycle(rest)]
    return Program(ordered, graph.listeners), []


def _number(declared: Any, cap: int) -> float:
    if isinstance(declared, int | float):
        return declared
    return {"last": cap + LAST_ORDER, "first": 0}.get(declared, cap) if isinstance(declared, str) else cap


def _key(node: Node, cap: int) -> tuple[tuple[float, float], str]:
    """Sort by the chunk's order, or by that of what waits for it where that comes earlier."""
    low = node.chunk.low
    own = _number(low.get("order"), cap)
    position = low.pop("name_order", 0)
    if position:
        own += position / 10000.0
    if own < 0:
        own += cap + LAST_ORDER
    low["order"] = own
    weight, least = -1, float("inf")
    for kind, then in node.after:
        if weight <= _WEIGHT[kind]:
            weight = _WEIGHT[kind]
            least = min(least, _number(then.chunk.low.get("order"), cap))
    return (min(own, least), own), f"{low['state']}{low['name']}{low['fun']}"


def _describe_cycle(nodes: list[Node]) -> str:
    """Walk back through what waits until a node comes again: each waiting node has a waiting predecessor."""
    waiting = set(nodes)
    path: list[tuple[Node, str]] = []
    seen: dict[Node, int] = {}
    node = nodes[0]
    while node not in seen:
        seen[node] = len(path)
        kind, before = next((kind, before) for kind, before in node.before if before in waiting)
        path.append((node, kind))
        node = before
    cycle = path[seen[node] :]
    names = [_name(step) for step, _kind in cycle]
    arrows = [f"{name} --{kind}--> " for name, (_step, kind) in zip(names, cycle, strict=True)]
    return f"Recursive requisites were found: {''.join(arrows)}{names[0]}"


def _name(node: Node) -> str:
    chunk = node.chunk
    text = f"{chunk.state}: {chunk.id}"
    if chunk.name != chunk.id:
        text += f" ({chunk.name})"
    return f"{text} [{chunk.place or chunk.sls}]"
