"""SLS names and the files they stand for: `a.b` is `a/b.sls` or `a/b/init.sls`, in one environment."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any

from ..context import FileSource
from ..errors import FileServerError
from ..files import ANY_ENVIRONMENT

_WILD = frozenset("*?[")


class Tree:
    """Finds SLS files in a file source; what it found out is kept for the run."""

    def __init__(self, files: FileSource, config: Mapping[str, Any]) -> None:
        self.files = files
        self._order = list(dict.fromkeys(config.get("env_order") or ()))
        self._paths: dict[tuple[str, str], str | None] = {}
        self._names: dict[str, list[str]] = {}
        self._environments: list[str] | None = None

    def environments(self) -> list[str]:
        """List the environments: `base` first, or what `env_order` says."""
        if self._environments is None:
            known = [env for env in self.files.environments() if env != ANY_ENVIRONMENT]
            if self._order:
                self._environments = [env for env in self._order if env in known] if known else self._order
            else:
                self._environments = list(dict.fromkeys(["base", *known]))
        return self._environments

    def has_environment(self, saltenv: str) -> bool:
        """Tell whether there is such an environment."""
        if saltenv == "base" or saltenv in self.environments():
            return True
        # `__env__` stands for environments without end, so only asking tells.
        return ANY_ENVIRONMENT in self.files.environments() and self._serves(saltenv)

    def _serves(self, saltenv: str) -> bool:
        try:
            self.files.find([], saltenv)
        except FileServerError:
            return False
        return True

    def locate(self, sls: str, saltenv: str) -> str | None:
        """Return the path of the file of an SLS, or None where there is none."""
        if (saltenv, sls) not in self._paths:
            self.look_up([sls], saltenv)
        return self._paths.get((saltenv, sls))  # a glob that matched nothing is never looked up

    def look_up(self, names: Iterable[str], saltenv: str) -> None:
        """Find the files of many SLS at once, to be asked for by `locate`."""
        wanted = {sls: _candidates(sls) for sls in names if (saltenv, sls) not in self._paths and not is_glob(sls)}
        if not wanted:
            return
        try:
            found = self.files.find([path for paths in wanted.values() for path in paths], saltenv)
        except FileServerError:
            found = self._find_each(wanted, saltenv) if len(wanted) > 1 else {}
        for sls, paths in wanted.items():
            self._paths[saltenv, sls] = next((path for path in paths if found.get(path) is not None), None)

    def _find_each(self, wanted: Mapping[str, list[str]], saltenv: str) -> dict[str, Any]:
        """Look for each name alone, where one of them is out of bounds and spoils the request for all."""
        found: dict[str, Any] = {}
        for paths in wanted.values():
            try:
                found.update(self.files.find(paths, saltenv))
            except FileServerError:
                continue
        return found

    def names(self, saltenv: str) -> list[str]:
        """List every SLS of an environment, sorted."""
        if saltenv not in self._names:
            try:
                files = self.files.list_files(saltenv)
            except FileServerError:
                files = []
            found = [
                path.removesuffix(".sls").removesuffix("/init").replace("/", ".") for path in files if is_sls(path)
            ]
            self._names[saltenv] = sorted(set(found))
        return self._names[saltenv]

    def match(self, pattern: str, saltenv: str) -> list[str]:
        """List the SLS that a name or glob stands for; empty where there is none."""
        if is_glob(pattern):
            return fnmatch.filter(self.names(saltenv), pattern)
        return [pattern] if self.locate(pattern, saltenv) else []


def is_glob(name: str) -> bool:
    """Tell whether a name has wildcards."""
    return not _WILD.isdisjoint(name)


def is_sls(path: str) -> bool:
    """Tell whether a path is that of an SLS file."""
    return path.endswith(".sls")


def _candidates(sls: str) -> list[str]:
    path = sls.replace(".", "/")
    return [f"{path}.sls", f"{path}/init.sls"]
