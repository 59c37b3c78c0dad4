"""Aggregation: states of one module that go together do their work at the turn of the first (`mod_aggregate`).

`aggregate: True` on a state, or `state_aggregate` in the configuration (True, or a list of modules), lets a state be
drawn ahead of states of other modules. A module that sets `__aggregate_neighbours__` is asked without that, too, for
states that follow each other without another in between: no order changes by it. A state is drawn ahead only where all
that it requires has been met, and where it has no condition of its own.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from . import conditions
from .low import Chunk
from .requisites import Node, Program
from .slots import has_slot

MAX_GROUP = 500
FREELY, NEIGHBOURS = "freely", "neighbours"


class Aggregation:
    """Finds what goes together. `hook(state)` returns a module's `mod_aggregate`; `is_ready` asks about requisites."""

    def __init__(
        self,
        program: Program,
        option: Any,
        hook: Callable[[str], Callable[..., Any] | None],
        is_ready: Callable[[Node], bool],
    ) -> None:
        self._option = option
        self._hook = hook
        self._is_ready = is_ready
        self._nodes = program.nodes
        self._positions: dict[Node, int] = {}
        self._by_state: dict[str, list[Node]] = {}

    def mates(self, node: Node) -> list[Node]:
        """Return the later states that are to be done at the turn of this one."""
        mode = self._mode(node.chunk)
        if not mode:
            return []
        self._number()
        if mode == FREELY:
            return [mate for mate in self._after(node) if self._may_join(mate)]
        return list(itertools.takewhile(self._may_join, self._next_to(node)))

    def _may_join(self, mate: Node) -> bool:
        return bool(self._mode(mate.chunk)) and self._is_ready(mate)

    def _number(self) -> None:
        """Look up where each node is among all, and among those of its module; once."""
        if self._positions:
            return
        for position, node in enumerate(self._nodes):
            self._positions[node] = position
            if not node.check:
                self._by_state.setdefault(node.chunk.state, []).append(node)

    def _mode(self, chunk: Chunk) -> str:
        low = chunk.low
        if low.get("__agg__") or low.get("parallel") or low.get("aggregate") is False:
            return ""
        hook = self._hook(chunk.state)
        if hook is None or any(key in low for key in conditions.CONDITIONS) or any(map(has_slot, low.values())):
            return ""
        if is_allowed(low, self._option):
            return FREELY
        return NEIGHBOURS if getattr(hook, "__globals__", {}).get("__aggregate_neighbours__") else ""

    def _after(self, node: Node) -> list[Node]:
        kin = self._by_state[node.chunk.state]
        start = bisect.bisect_right(kin, self._positions[node], key=self._positions.__getitem__)
        return [mate for mate in kin[start : start + MAX_GROUP] if is_allowed(mate.chunk.low, self._option)]

    def _next_to(self, node: Node) -> list[Node]:
        start = self._positions[node] + 1
        following = self._nodes[start : start + MAX_GROUP]
        return list(
            itertools.takewhile(lambda mate: not mate.check and mate.chunk.state == node.chunk.state, following)
        )


def is_allowed(low: Mapping[str, Any], option: Any) -> bool:
    """Tell whether a state may be drawn ahead: its own `aggregate` decides, else the configuration."""
    wanted = low.get("aggregate", option)
    if isinstance(wanted, list | tuple | set | Mapping):
        return low["state"] in wanted
    return wanted is True
