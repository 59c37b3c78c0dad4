"""Branches and tags of git repositories as environments of the state tree (`fileserver_backend: [git]`).

`update` fetches and writes down which environment has which directories; the daemon's file server and the worker
processes read that, so they always agree and none of them waits for the network.
"""

from __future__ import annotations

import fnmatch
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..common.atomic import atomic_write
from ..common.config import MasterConfig
from ..common.errors import CommandExecutionError, ConfigError, nearest
from .git import Repository

log = logging.getLogger(__name__)

Directories = dict[str, list[str]]
BACKENDS = {"roots": "roots", "git": "git", "gitfs": "git"}
REF_TYPES = {"heads": "branch", "tags": "tag"}


@dataclass(frozen=True, slots=True)
class Remote:
    """One entry of `gitfs_remotes`."""

    url: str
    base: str
    root: str = ""
    mountpoint: str = ""
    name: str = ""
    ref_types: tuple[str, ...] = ("branch", "tag")
    saltenv_whitelist: tuple[str, ...] = ()
    saltenv_blacklist: tuple[str, ...] = ()

    def environments(self, refs: Mapping[str, str]) -> dict[str, str]:
        """Map the environments that this remote gives to their commits; a branch goes before a tag of its name."""
        found: dict[str, str] = {}
        for ref, commit in sorted(refs.items()):
            kind, _, name = ref.partition("/")
            if REF_TYPES.get(kind) in self.ref_types and name != "base":
                env = "base" if name == self.base else name
                if self._wants(env):
                    found.setdefault(env, commit)
        return found

    def _wants(self, env: str) -> bool:
        wanted = not self.saltenv_whitelist or _any_matches(env, self.saltenv_whitelist)
        return wanted and not _any_matches(env, self.saltenv_blacklist)


def read_remotes(config: MasterConfig) -> list[Remote]:
    """Read `gitfs_remotes`: URLs, or `{url: [{option: value}, …]}`; raises `ConfigError`."""
    defaults = {
        "base": config.gitfs_base,
        "root": config.gitfs_root,
        "mountpoint": config.gitfs_mountpoint,
        "ref_types": config.gitfs_ref_types,
        "saltenv_whitelist": config.gitfs_saltenv_whitelist,
        "saltenv_blacklist": config.gitfs_saltenv_blacklist,
    }
    return [_read_remote(entry, defaults) for entry in config.gitfs_remotes]


def _read_remote(entry: Any, defaults: Mapping[str, Any]) -> Remote:
    url, options = split_entry(entry, "gitfs_remotes")
    known = [field.name for field in fields(Remote) if field.name != "url"]
    values: dict[str, Any] = {}
    for key, value in {**defaults, **options}.items():
        if key not in known:
            near = nearest(key, known)
            hint = f"did you mean {near}?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"gitfs_remotes: {url}: there is no option {key!r}", hint=hint)
        values[key] = tuple(map(str, value)) if isinstance(value, list | tuple) else str(value)
        if key.startswith(("ref_", "saltenv_")) and not isinstance(values[key], tuple):
            values[key] = (values[key],)
    return Remote(url, **values)


def split_entry(entry: Any, setting: str) -> tuple[str, dict[str, Any]]:
    """Take one remote of a list apart into what names it and its options; raises `ConfigError`."""
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, Mapping) and len(entry) == 1:
        ((name, given),) = entry.items()
        items = given if isinstance(given, list) else [given or {}]
        if all(isinstance(item, Mapping) for item in items):
            return str(name), {str(key): value for item in items for key, value in item.items()}
    raise ConfigError(f"{setting}: {entry!r} is neither a remote nor a remote with options")


class GitEnvironments:
    """The environments of `gitfs_remotes`, below the cache directory."""

    def __init__(self, config: MasterConfig) -> None:
        self._cache = config.cachedir / "master" / "git"
        self._map = self._cache / "environments.json"
        self._remotes = [
            (remote, Repository(remote.url, self._cache, config.git_protocols)) for remote in read_remotes(config)
        ]
        self._stamp = 0
        self._known: Directories = {}

    def __bool__(self) -> bool:
        return bool(self._remotes)

    def directories(self) -> Directories:
        """Return what the last update found, whichever process did it."""
        try:
            stamp = self._map.stat().st_mtime_ns
        except OSError:
            return {}
        if stamp != self._stamp:
            self._known = json.loads(self._map.read_text())
            self._stamp = stamp
        return self._known

    def update(self) -> tuple[Directories, list[str]]:
        """Fetch every remote; return the directories by environment, and a sentence for each remote that failed.

        What was fetched of a remote before stays in use where it cannot be reached now.
        """
        problems: list[str] = []
        found: Directories = {}
        for remote, repository in self._remotes:
            try:
                repository.fetch()
            except CommandExecutionError as error:
                problems.append(str(error))
            trees = self._unpack(remote, repository, problems)
            for env, tree in trees.items():
                found.setdefault(env, []).append(str(tree))
            repository.prune(list(trees.values()))
        if found != self.directories():
            self._cache.mkdir(parents=True, exist_ok=True, mode=0o700)
            atomic_write(self._map, json.dumps(found).encode(), mode=0o600)
        return found, problems

    def _unpack(self, remote: Remote, repository: Repository, problems: list[str]) -> dict[str, Path]:
        trees = {}
        for env, commit in remote.environments(repository.refs()).items():
            try:
                trees[env] = repository.tree(commit, remote.root, remote.mountpoint)
            except CommandExecutionError as error:
                if not remote.root:  # a branch may lack the root that others have
                    problems.append(str(error))
                log.info("the environment %s is left out: %s", env, error)
        return trees


def combined(config: MasterConfig, git: GitEnvironments) -> Directories:
    """Return the directories of each environment, in the order of `fileserver_backend`."""
    found: Directories = {}
    for backend in check_backends(config.fileserver_backend):
        given: Mapping[str, Sequence[str]] = config.file_roots if backend == "roots" else git.directories()
        for env, directories in given.items():
            found.setdefault(env, []).extend(directories)
    return found


def check_backends(names: Sequence[str]) -> list[str]:
    """Return the backends by our names; raises `ConfigError` for one that there is not."""
    for name in names:
        if name not in BACKENDS:
            near = nearest(name, BACKENDS)
            hint = f"did you mean {near}?" if near else "known: roots, git"
            raise ConfigError(f"fileserver_backend: there is no backend {name!r}", hint=hint)
    return [BACKENDS[name] for name in names]


def _any_matches(env: str, patterns: Sequence[str]) -> bool:
    """Match an environment's name by globs or, as Salt does, by regular expressions over the whole name."""
    for pattern in patterns:
        if fnmatch.fnmatchcase(env, pattern):
            return True
        try:
            if re.fullmatch(pattern, env):
                return True
        except re.error:
            continue
    return False
