"""Render one minion's pillar, inside a worker process: the tree, what comes from elsewhere, what is merged over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from ..common import context
from ..common.config import MasterConfig
from ..common.context import Context, DaemonPort, Function
from ..common.extmods import master_directories
from ..common.files import Roots
from ..common.loader import Loader
from ..common.pillar import Pillar
from ..common.render_users import UserEngines
from .ext_pillar import ExternalPillars

# Execution modules that pillar templates may call here: they compute, and neither run nor write anything.
PURE_MODULES = frozenset({"config", "defaults", "grains", "hashutil", "log", "match", "random", "slsutil"})
_NOT_PURE = frozenset(
    {"hashutil.base64_decodefile", "hashutil.base64_encodefile", "hashutil.digest_file", "slsutil.renderer"}
)


class PureFunctions(Mapping[str, Function]):
    """The functions that pillar templates may call: a few modules that only compute."""

    def __init__(self, loader: Mapping[str, Function]) -> None:
        self._loader = loader

    def __getitem__(self, name: str) -> Function:
        if not _is_pure(name):
            raise KeyError(
                f"{name}: pillar is rendered on the master, where only {', '.join(sorted(PURE_MODULES))} run"
            )
        return self._loader[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._loader if _is_pure(name))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _is_pure(name: str) -> bool:
    return name.partition(".")[0] in PURE_MODULES and name not in _NOT_PURE


def pillar_roots(config: MasterConfig) -> Roots:
    """Return the pillar tree of a configuration."""
    return Roots(
        config.pillar_roots,
        ignore_glob=config.file_ignore_glob,
        ignore_regex=config.file_ignore_regex,
        follow_symlinks=config.fileserver_followsymlinks,
    )


def pillar_context(
    config: MasterConfig, files: Roots, daemon: DaemonPort, minion: str, grains: MutableMapping[str, Any]
) -> Context:
    """Make what pillar templates see on behalf of a minion: the functions that only compute, and users' renderers."""
    around = Context(id=minion, config=config.raw, grains=grains, pillar={}, files=files, daemon=daemon)
    around.functions = PureFunctions(Loader("modules", "ctl.modules", (), around))
    around.renderers = UserEngines(Loader("renderers", None, master_directories(config.raw, "renderers"), around))
    return around


def render(
    config: MasterConfig,
    files: Roots,
    daemon: DaemonPort,
    minion: str,
    grains: MutableMapping[str, Any],
    *,
    saltenv: str | None = None,
    pillarenv: str | None = None,
    override: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Return a minion's pillar, and its problems for the log."""
    around = pillar_context(config, files, daemon, minion, grains)
    around.saltenv = pillarenv or saltenv or "base"
    with context.use(around):
        external = ExternalPillars(around) if config.ext_pillar else None
        pillar = Pillar(
            files,
            config.raw,
            grains,
            minion,
            around.functions,
            external=external,
            engines=around.renderers,
            confined=True,
        )
        data = pillar.compile(saltenv, pillarenv, override)
    return data, pillar.problems
