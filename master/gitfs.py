"""Branches and tags of git repositories as environments of the state tree (`fileserver_backend: [git]`).

`update` fetches and writes down which environment has which directories; the daemon's file server and the worker
processes read that, so they always agree and none of them waits for the network.
"""

from __future__ import annotations

import fnmatch
import json
import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..common.atomic import atomic_write
from ..common.config import MasterConfig
from ..common.errors import ConfigError, CtlError, nearest
from .git import Repository, fetch_all

log = logging.getLogger(__name__)

Directories = dict[str, list[str]]
BACKENDS = {"roots": "roots", "git": "git", "gitfs": "git"}
REF_TYPES = {"heads": "branch", "tags": "tag"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an environment's files are in a repository: a branch, tag or commit, and what of it goes where."""

    ref: str
    root: str
    mountpoint: str


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
    saltenv: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    disable_saltenv_mapping: bool = False

    def environments(self, refs: Mapping[str, str]) -> dict[str, Place]:
        """Map the environments that this remote gives to their places: those that are configured, then its refs."""
        found = {}
        for env, given in self.saltenv.items():
            ref = given.get("ref") or (self.base if env == "base" else env)
            found[env] = Place(ref, given.get("root", self.root), given.get("mountpoint", self.mountpoint))
        for ref in sorted(refs):
            kind, _, name = ref.partition("/")
            env = "base" if name == self.base else name
            mapped = env == "base" or not self.disable_saltenv_mapping
            if REF_TYPES.get(kind) in self.ref_types and name != "base" and mapped:
                found.setdefault(env, Place(name, self.root, self.mountpoint))
        return {env: place for env, place in found.items() if self._wants(env)}

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
        "disable_saltenv_mapping": config.gitfs_disable_saltenv_mapping,
        "saltenv": config.gitfs_saltenv,
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
        values[key] = _option(key, value, url)
    values["saltenv"] = {**_saltenvs(defaults["saltenv"], "gitfs_saltenv"), **values["saltenv"]}
    return Remote(url, **values)


def _option(key: str, value: Any, url: str) -> Any:
    if key == "saltenv":
        return _saltenvs(value, f"gitfs_remotes: {url}")
    if key == "disable_saltenv_mapping":
        return bool(value)
    read = tuple(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return (read,) if key.startswith(("ref_", "saltenv_")) and isinstance(read, str) else read


def _saltenvs(given: Any, setting: str) -> dict[str, dict[str, str]]:
    """Read `[{env: [{ref: …}, {root: …}, {mountpoint: …}]}, …]`."""
    found = {}
    for entry in [given] if isinstance(given, Mapping) else given or ():
        env, options = split_entry(entry, f"{setting}: saltenv")
        for key in options:
            if key not in ("ref", "root", "mountpoint"):
                hint = "known: ref, root, mountpoint"
                raise ConfigError(f"{setting}: the environment {env!r} has no option {key!r}", hint=hint)
        found[env] = {key: str(value) for key, value in options.items()}
    return found


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

    def __init__(self, config: MasterConfig, stop: threading.Event | None = None) -> None:
        self._cache = config.cachedir / "master" / "git"
        self._map = self._cache / "environments.json"
        self._remotes = [
            (remote, Repository(remote.url, self._cache, config.git_protocols, config.git_timeout, stop))
            for remote in read_remotes(config)
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

    def update(self, changed: Callable[[], None] = lambda: None) -> tuple[Directories, list[str]]:
        """Fetch every remote; return the directories by environment, and a sentence for each remote that failed.

        What was fetched of a remote before stays in use where it cannot be reached now. `changed` is called when
        directories are others than before, which may be while a slow remote is still being fetched.
        """
        problems: list[str] = []

        def fetched(problem: str) -> None:
            if problem:
                problems.append(problem)
            else:
                self._write_down([], changed)

        fetch_all((repository for _remote, repository in self._remotes), fetched)
        found = self._write_down(problems, changed)
        for _remote, repository in self._remotes:
            repository.prune([Path(path) for paths in found.values() for path in paths])
        return found, problems

    def _write_down(self, problems: list[str], changed: Callable[[], None]) -> Directories:
        found: Directories = {}
        for remote, repository in self._remotes:
            for env, tree in self._unpack(remote, repository, problems).items():
                found.setdefault(env, []).append(str(tree))
        if found != self.directories():
            self._cache.mkdir(parents=True, exist_ok=True, mode=0o700)
            atomic_write(self._map, json.dumps(found).encode(), mode=0o600)
            changed()
        return found

    def _unpack(self, remote: Remote, repository: Repository, problems: list[str]) -> dict[str, Path]:
        trees = {}
        for env, place in remote.environments(repository.refs()).items():
            commit = repository.commit(place.ref)
            if commit is None:
                continue  # an environment may be configured for remotes that do not have it
            try:
                trees[env] = repository.tree(commit, place.root, place.mountpoint)
            except CtlError as error:
                if not place.root:  # a branch may lack the root that others have
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
