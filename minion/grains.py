"""The grains of this minion: facts of the machine, users' plugins over them, and static grains over all.

`GrainTable` reads each fact when it is first asked for; `collect` takes them all. Strings are kept to one line
(`common.plaintext`), since grains end up in templates.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..common.config import MinionConfig
from ..common.data import merge
from ..common.plaintext import one_line
from . import grains_hardware, grains_network, grains_os, grains_system, grains_virtual
from .grains_machine import Group, Machine

log = logging.getLogger(__name__)

SALT_SURFACE = [3008, 3]  # the version of Salt whose names and shapes ctl keeps
MACHINE_GROUPS: tuple[Group, ...] = (
    *grains_os.GROUPS,
    *grains_hardware.GROUPS,
    *grains_virtual.GROUPS,
    *grains_network.GROUPS,
    *grains_system.GROUPS,
)


class MachineGrains(Mapping[str, Any]):
    """What the machine itself tells, read group by group as it is asked for."""

    def __init__(self, machine: Machine | None = None, groups: Sequence[Group] = MACHINE_GROUPS) -> None:
        self._machine = machine or Machine()
        self._groups = groups
        self._group_of = {key: index for index, group in enumerate(groups) for key in group.keys}
        self._loaded: dict[int, Mapping[str, Any]] = {}

    def __getitem__(self, key: str) -> Any:
        return self._load(self._group_of[key])[key]

    def __iter__(self) -> Iterator[str]:
        self.load_all()
        return (key for index in range(len(self._groups)) for key in self._loaded[index])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def load_all(self) -> None:
        """Read every group; those that wait for a name server do so at the same time as the others are read."""
        missing = [index for index in range(len(self._groups)) if index not in self._loaded]
        slow = [index for index in missing if self._groups[index].slow]
        threads = [threading.Thread(target=self._load, args=(index,), daemon=True) for index in slow]
        for thread in threads:
            thread.start()
        for index in missing:
            if index not in slow:
                self._load(index)
        for thread in threads:
            thread.join()
        for index in slow:
            self._load(index)

    def _load(self, index: int) -> Mapping[str, Any]:
        if index not in self._loaded:
            group = self._groups[index]
            try:
                self._loaded[index] = group.load(self._machine)
            except Exception as error:  # one odd machine must not cost it all of its grains
                log.error("the grains %s cannot be read: %s: %s", ", ".join(group.keys), type(error).__name__, error)
                self._loaded[index] = {}
        return self._loaded[index]


class GrainTable(Mapping[str, Any]):
    """All grains of a minion, lazily: static ones over users' over the machine's.

    Users' plugins, where there are any, run at the first look-up of a grain that is not static.
    """

    def __init__(
        self, config: MinionConfig, plugin_dirs: Sequence[Path] = (), machine: Mapping[str, Any] | None = None
    ) -> None:
        from . import grains_static

        self._config = config
        self._machine = MachineGrains() if machine is None else machine
        self._directories = [Path(directory) for directory in plugin_dirs]
        self._own = own_grains(config)
        self._static = _checked("static grains", grains_static.static_grains(config))
        self._deep = grains_static.deep(config)
        self._users: Mapping[str, Any] | None = None
        if not any(True for path in self._directories if path.is_dir() for _ in path.glob("*.py")):
            self._users = {}

    def __getitem__(self, key: str) -> Any:
        if key in self._static and not (self._deep and isinstance(self._static[key], Mapping)):
            return self._static[key]
        layers = [layer[key] for layer in self._layers() if key in layer]
        if not layers:
            raise KeyError(key)
        value = layers[0]
        for over in layers[1:]:
            both = self._deep and isinstance(value, Mapping) and isinstance(over, Mapping)
            value = merge(value, over) if both else over
        return _clean(value)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key for layer in self._layers() for key in layer))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def collect(self) -> dict[str, Any]:
        """Return all grains as a dict."""
        return {key: self[key] for key in self}

    def _layers(self) -> tuple[Mapping[str, Any], ...]:
        """Return the sources, each over the one before."""
        return self._machine, self._own, self._user_grains(), self._static

    def _user_grains(self) -> Mapping[str, Any]:
        if self._users is None:
            from . import grains_static

            self._users = {}  # a plugin that asks for grains sees those of the machine
            known = {**self._machine, **self._own, **self._static}
            found = grains_static.plugin_grains(self._config, self._directories, known)
            self._users = _checked("a plugin", found)
        return self._users


def collect(config: MinionConfig, plugin_dirs: Sequence[Path] = ()) -> dict[str, Any]:
    """Return all grains; runs users' plugins, so it belongs in a job's process."""
    return GrainTable(config, plugin_dirs).collect()


def own_grains(config: MinionConfig) -> dict[str, Any]:
    """Return the grains that say who this minion is, and of which version."""
    return {
        "id": config.id,
        "master": config.master[0] if len(config.master) == 1 else list(config.master),
        "server_id": server_id(config.id),
        "ctlversion": __version__,
        "saltversion": ".".join(map(str, SALT_SURFACE)),
        "saltversioninfo": list(SALT_SURFACE),
    }


def server_id(minion_id: str) -> int:
    """Return a number that is made of the id, for what needs one (a MySQL server's id)."""
    return int.from_bytes(hashlib.sha256(minion_id.encode()).digest(), "big") % 2**31


def _checked(source: str, grains: Mapping[str, Any]) -> dict[str, Any]:
    """Keep strings to one line, and say which were not."""
    clean: dict[str, Any] = _clean(grains)
    for key, value in grains.items():
        if clean.get(key) != value:
            log.warning("the grain %r of %s has control characters; they are taken out", key, source)
    return clean


def _clean(value: Any) -> Any:
    return one_line(value)
