"""Git repositories as external pillar: which remotes the configuration names, and the tree that a branch gives.

The daemon fetches them now and then (`update_pillars`); a worker that renders a pillar fetches only what was never
fetched before.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.config import MasterConfig
from ..common.errors import CommandExecutionError, ConfigError, nearest
from .git import Repository, fetch_all
from .gitfs import split_entry

OPTIONS = ("env", "root", "mountpoint", "name", "base")
CURRENT_BRANCH = "__env__"


@dataclass(frozen=True, slots=True)
class PillarRemote:
    """One remote: `branch url`, and where it goes."""

    url: str
    branch: str
    env: str
    root: str = ""
    mountpoint: str = ""

    def tree(self, repository: Repository, pillarenv: str, base: str) -> Path | None:
        """Return the directory of the branch; None where the environment's own is wanted and there is none."""
        branch = self.branch
        if branch == CURRENT_BRANCH:
            branch = base if pillarenv in ("", "base") else pillarenv
        refs = repository.refs()
        commit = refs.get(f"heads/{branch}") or refs.get(f"tags/{branch}")
        if commit is not None:
            return repository.tree(commit, self.root, self.mountpoint)
        if self.branch == CURRENT_BRANCH:
            return None
        raise CommandExecutionError(f"the git repository has no branch or tag {branch!r}")


def read_remotes(entries: Any, base: str) -> list[PillarRemote]:
    """Read the list below `git:` in `ext_pillar`: `branch url`, or `{branch url: [{env: …}, {root: …}]}`."""
    found = []
    for entry in entries if isinstance(entries, list) else [entries]:
        words, options = split_entry(entry, "ext_pillar: git")
        first, space, rest = words.strip().partition(" ")
        branch, url = (first, rest.strip()) if space else ("", first)
        for key in options:
            if key not in OPTIONS:
                near = nearest(key, OPTIONS)
                hint = f"did you mean {near}?" if near else f"known: {', '.join(OPTIONS)}"
                raise ConfigError(f"ext_pillar: git: {words}: there is no option {key!r}", hint=hint)
        branch = branch or base
        env = str(options.get("env") or ("base" if branch == base else branch))
        found.append(
            PillarRemote(url, branch, env, str(options.get("root") or ""), str(options.get("mountpoint") or ""))
        )
    return found


def repository(config: MasterConfig, remote: PillarRemote, stop: threading.Event | None = None) -> Repository:
    """Return the repository of a remote."""
    return Repository(remote.url, config.cachedir / "master" / "git", config.git_protocols, config.git_timeout, stop)


def configured(config: MasterConfig) -> list[PillarRemote]:
    """List the remotes of every `git` in `ext_pillar`."""
    given = [entry["git"] for entry in config.ext_pillar if isinstance(entry, Mapping) and "git" in entry]
    return [remote for entries in given for remote in read_remotes(entries, config.git_pillar_base)]


def update_pillars(config: MasterConfig, stop: threading.Event | None = None) -> list[str]:
    """Fetch every remote of `ext_pillar`; return a sentence for each that failed."""
    problems: list[str] = []
    fetch_all(
        (repository(config, remote, stop) for remote in configured(config)),
        lambda problem: problems.append(problem) if problem else None,
    )
    return problems
