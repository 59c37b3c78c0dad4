"""Words of the state system: which keys of a declaration steer it, what a chunk is, where it stands in the tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# In the order of their weight: where a chunk has several, the later ones decide about its place.
REQUISITES = (
    "onfail",
    "onfail_any",
    "onfail_all",
    "require",
    "require_any",
    "onchanges",
    "onchanges_any",
    "watch",
    "watch_any",
    "prereq",
    "prerequired",
    "listen",
)
# Where a run keeps its low chunks in the job's scratch space, for states that must not undo what others do.
LOWSTATE = "__lowstate__"
# The returns so far, by their tags, likewise.
RUNNING = "__running__"
# Keys whose values are lists of references to other states.
REQUISITE_KEYS = frozenset((*REQUISITES, "onfail_stop"))
REQUISITE_IN_KEYS = frozenset(("onchanges_in", "onfail_in", "prereq_in", "watch_in", "require_in", "listen_in"))
RUNTIME_KEYS = frozenset(
    (
        "aggregate",
        "check_cmd",
        "cmd_opts_exclude",
        "creates",
        "failhard",
        "fire_event",
        "fun",
        "name_order",
        "no_log",
        "onlyif",
        "order",
        "parallel",
        "reload_grains",
        "reload_modules",
        "reload_pillar",
        "retry",
        "runas",
        "runas_password",
        "saltenv",
        "state",
        "umask",
        "unless",
        "use",
        "use_in",
        "__agg__",
        "__env__",
        "__id__",
        "__orchestration_jid__",
        "__prereq__",
        "__prerequiring__",
        "__sls__",
        "__sls_included_from__",
    )
)
# What the state system itself reads; a function gets such a key only if it names it as a parameter.
INTERNAL_KEYS = REQUISITE_KEYS | REQUISITE_IN_KEYS | RUNTIME_KEYS

HighData = dict[str, Any]
Low = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file of the tree."""

    path: str
    line: int = 0
    saltenv: str = "base"

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(slots=True)
class Marks:
    """Where IDs, their states and arguments stand: per ID, the file, the lines of its keys, and the environment.

    `extends` has the places of what stands under `extend`, by environment, SLS and ID.
    """

    by_id: dict[str, tuple[str, Mapping[tuple[str, ...], int], str]] = field(default_factory=dict)
    extends: dict[tuple[str, str, str], Place] = field(default_factory=dict)

    def place(self, id_: str, state: str = "", function: str = "", argument: str = "") -> Place | None:
        """Find the most precise line known for an ID, its state, and an argument of it."""
        known = self.by_id.get(id_)
        if known is None:
            return None
        path, lines, saltenv = known
        for key in (f"{state}.{function}", state):
            for keys in ((id_, key, argument), (id_, key)):
                if (len(keys) == 2 or argument) and keys in lines:
                    return Place(path, lines[keys], saltenv)
        return Place(path, lines.get((str(id_),), 0), saltenv)


@dataclass(slots=True, eq=False)
class Chunk:
    """One state to run: its flat low data, in Salt's shape, and where it was declared."""

    low: Low
    place: Place | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        return str(self.low["state"])

    @property
    def fun(self) -> str:
        return str(self.low["fun"])

    @property
    def name(self) -> str:
        return str(self.low["name"])

    @property
    def id(self) -> str:
        return str(self.low["__id__"])

    @property
    def sls(self) -> str:
        return str(self.low.get("__sls__", ""))

    @property
    def function(self) -> str:
        return f"{self.low['state']}.{self.low['fun']}"

    @property
    def tag(self) -> str:
        return tag_of(self.low)


def tag_of(low: Mapping[str, Any]) -> str:
    """Make the key under which a chunk's return appears: `state_|-id_|-name_|-fun`."""
    return f"{low['state']}_|-{low['__id__']}_|-{low['name']}_|-{low['fun']}"


def split_tag(tag: str) -> dict[str, str]:
    """Take the key of a return apart into state, `__id__`, name and fun."""
    state, id_, name, fun = tag.split("_|-")
    return {"state": state, "__id__": id_, "name": name, "fun": fun}
