"""What lies in users' `_utils`: modules that their plugins import by plain names, or call through `__utils__`.

They are plugins like others: they may `import salt`, and find `__salt__` and its kin, which are those of the job that
is running, whichever job imported them first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from .context import Context, current
from .loader_names import inject
from .writers import check_plugin


class _RunningJob:
    """Stands for the context of whichever job runs when it is asked."""

    def __getattr__(self, name: str) -> Any:
        return getattr(current(), name)


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        check_plugin(Path(self.path))
        _loaded[module.__name__] = (self.path, _stamp(self.path))
        inject(module, cast(Context, _RunningJob()))
        super().exec_module(module)


_directories: list[str] = []
_loaded: dict[str, tuple[str, tuple[int, ...]]] = {}  # by name: the file, and what it was like


def _stamp(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _find(places: Sequence[str], name: str, target: ModuleType | None) -> ModuleSpec | None:
    for place in places:
        if any(place == own or place.startswith(own + os.sep) for own in _directories):
            spec = FileFinder(place, (_Loader, SOURCE_SUFFIXES)).find_spec(name, target)
            if spec is not None and spec.loader is not None:
                return spec
    return None


class _Modules:
    """Finds what has no package around it; stands last, so that nothing in `_utils` hides another module."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return _find(_directories, name, target) if path is None else None


class _Parts:
    """Finds what is in packages of `_utils`; stands first, since Python's own finder knows where they are, too."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return _find(path, name, target) if path is not None else None


_modules, _parts = _Modules(), _Parts()


def use_utils(directories: Sequence[str]) -> None:
    """Let users' plugins import what is in these directories by its plain name."""
    for directory in directories:
        if directory not in _directories and os.path.isdir(directory):
            _directories.append(directory)
    if _directories and _modules not in sys.meta_path:
        sys.meta_path.append(_modules)
        sys.meta_path.insert(0, _parts)


def forget_changed() -> None:
    """Have what was imported be imported anew where any file of it has changed: a master's worker lives on."""
    if all(_stamp(path) == stamp for path, stamp in _loaded.values()):
        return
    for name in list(_loaded):
        sys.modules.pop(name, None)
        del _loaded[name]
