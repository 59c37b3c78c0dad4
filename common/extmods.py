"""Where users' plugins come from and where they are kept: folders of a state tree, directories of a minion or master.

`saltutil.sync_*`, the execution functions and the runners, copy the folders (`_modules`, `_states`, `_pillar`, ...) to
the directories; jobs and the master's workers load from these.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

KINDS = (
    "modules",
    "states",
    "grains",
    "utils",
    "renderers",
    "returners",
    "outputters",
    "beacons",
    "engines",
    "matchers",
    "executors",
    "serializers",
)
MASTER_KINDS = ("pillar", "renderers", "runners", "utils")
LOADED = ("modules", "states", "grains", "utils", "renderers", "returners")
# A folder of Salt's whose name differs from the kind's.
_FOLDERS = {"outputters": ("_outputters", "_output")}
_OWN_DIRECTORIES = {
    "modules": "module_dirs",
    "states": "states_dirs",
    "grains": "grains_dirs",
    "renderers": "render_dirs",
    "pillar": "pillar_dirs",
    "runners": "runner_dirs",
}


def folders(kind: str) -> tuple[str, ...]:
    """Return the folders of a state tree that hold plugins of a kind."""
    return _FOLDERS.get(kind, (f"_{kind}",))


def synced_directory(config: Mapping[str, Any], kind: str) -> Path:
    """Return where this minion keeps synced plugins of a kind; `config` is its configuration as a mapping."""
    return Path(config["cachedir"]) / "minion" / "extmods" / kind


def load_directories(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the directories to load plugins from, by kind: the configuration's own first."""
    return {
        kind: [*config.get(_OWN_DIRECTORIES.get(kind, ""), ()), str(synced_directory(config, kind))] for kind in LOADED
    }


def master_directory(config: Mapping[str, Any], kind: str) -> Path:
    """Return where the master keeps synced plugins of a kind; `config` is its configuration as a mapping."""
    return Path(config["cachedir"]) / "master" / "extmods" / kind


def master_directories(config: Mapping[str, Any], kind: str) -> list[Path]:
    """Return the directories that the master loads plugins of a kind from: the configuration's own first."""
    own = config.get(_OWN_DIRECTORIES.get(kind, "")) or ()
    return [*(Path(path) for path in own), master_directory(config, kind)]
