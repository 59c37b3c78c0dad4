"""Fetch users' plugins for the master from the state tree: external pillars, renderers, runners and their helpers.

They lie in `_pillar`, `_renderers`, `_runners` and `_utils` of an environment, beside those of minions.

CLI example: `ctl-run saltutil.sync_all`
"""

from __future__ import annotations

from ...common.context import current
from ...common.extmods import MASTER_KINDS, master_directory
from ...modules._sync import sync_kind

Environments = str | list[str]


def sync_all(saltenv: Environments = "base") -> dict[str, list[str]]:
    """Fetch every kind of plugin that the master loads; returns what was new or changed, by kind.

    CLI example: `ctl-run saltutil.sync_all`
    """
    return {kind: _sync(kind, saltenv) for kind in MASTER_KINDS}


def sync_pillar(saltenv: Environments = "base") -> list[str]:
    """Fetch external pillars from `_pillar`.

    CLI example: `ctl-run saltutil.sync_pillar`
    """
    return _sync("pillar", saltenv)


def sync_renderers(saltenv: Environments = "base") -> list[str]:
    """Fetch renderers from `_renderers`, for pillar.

    CLI example: `ctl-run saltutil.sync_renderers`
    """
    return _sync("renderers", saltenv)


def sync_runners(saltenv: Environments = "base") -> list[str]:
    """Fetch runners from `_runners`.

    CLI example: `ctl-run saltutil.sync_runners`
    """
    return _sync("runners", saltenv)


def sync_utils(saltenv: Environments = "base") -> list[str]:
    """Fetch what other plugins import from `_utils`.

    CLI example: `ctl-run saltutil.sync_utils`
    """
    return _sync("utils", saltenv)


def _sync(kind: str, saltenv: Environments) -> list[str]:
    around = current()
    environments = saltenv.split(",") if isinstance(saltenv, str) else saltenv
    copied, _changed = sync_kind(around.files, kind, master_directory(around.config, kind), environments)
    return copied
