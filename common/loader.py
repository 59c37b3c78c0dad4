"""Find, load and explain plugins: which file holds `pkg.install`, why it did not load, what is nearest.

Discovery reads names from files without importing them; a file is imported at the first use of a name that it may
hold. A user's directories come before the built-in package. Several files may share a virtual name (`pkg_apt.py`,
`pkg_dnf.py`): those whose `__virtual__` agrees are merged, and two of them defining one function is an error naming
both. A user's plugin gets Salt's names (`__salt__`, `__grains__`, ...) and may `import salt`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from .context import Context, Function
from .errors import PluginError, PluginNotFound, PluginNotLoaded, nearest
from .loader_names import inject
from .permissions import Refusal, anything
from .render_users import UserEngines
from .writers import check_plugin

log = logging.getLogger(__name__)

_VIRTUAL_NAME = re.compile(r"""^__virtualname__\s*(?::[^=]+)?=\s*["']([\w.]+)["']""", re.MULTILINE)

_LISTINGS = {"states": "ctl '*' sys.list_state_modules", "runners": "ctl-run -d"}


@dataclass(frozen=True, slots=True)
class Source:
    """One plugin's file: its stem, the name its functions appear under, and whether it is a user's."""

    path: Path
    stem: str
    name: str
    package: str | None  # the built-in package it belongs to; None for a user's
    decides_name: bool  # a user's `__virtual__` may return another name, which only loading tells


@dataclass(slots=True)
class Family:
    """What is loaded under one name: functions that can be called, and those that could not, with the reason."""

    functions: dict[str, Function] = field(default_factory=dict)
    owners: dict[str, Path] = field(default_factory=dict)
    unavailable: dict[str, Function] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)


@functools.cache
def builtin_sources(package: str) -> tuple[Source, ...]:
    """List the plugins of a built-in package, in the order of their names."""
    directory = Path(str(importlib.import_module(package).__file__)).parent
    return tuple(_read_sources(directory, package))


def _read_sources(directory: Path, package: str | None) -> Iterator[Source]:
    if not directory.is_dir():
        return
    for path in sorted(directory.iterdir()):
        stem = path.stem
        if path.suffix == ".py" and path.is_file():
            file = path
        elif (path / "__init__.py").is_file():
            file = path / "__init__.py"
        else:
            continue
        if stem.startswith("_") or not stem.isidentifier():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        found = _VIRTUAL_NAME.search(text)
        decides = package is None and found is None and "def __virtual__" in text
        yield Source(file, stem, found[1] if found else stem, package, decides)


class Loader(Mapping[str, Function]):
    """The functions of one kind of plugin by their full names (`pkg.install`).

    `loader[name]` raises `PluginNotFound`, with the nearest name, or `PluginNotLoaded`, with the reason, also where
    `refusal` has one. `find` does not ask that: it is for what built-in functions need themselves.
    """

    def __init__(
        self, kind: str, package: str | None, directories: Sequence[Path] = (), context: Context | None = None
    ) -> None:
        self.kind = kind
        self.context = context
        self._package = package
        self._directories = directories
        self.refusal: Refusal = anything
        self._lock = threading.RLock()  # states may run in threads of one job
        self.forget()

    def forget(self) -> None:
        """Look for plugins anew, and ask again those that declined: files or tools have changed."""
        package, directories = self._package, self._directories
        users = [source for directory in directories for source in _read_sources(Path(directory), None)]
        builtin = list(builtin_sources(package)) if package else []
        sources: dict[str, list[Source]] = {}
        for source in _first_of_each_stem(users) + builtin:
            sources.setdefault(source.name, []).append(source)
        with self._lock:
            self._sources = sources
            self._families: dict[str, Family] = {}
            self._loading: dict[str, Family] = {}
            self._imported: dict[Path, ModuleType | Exception] = {}
            self._renamed = False

    def __getitem__(self, name: str) -> Function:
        if why := self.refusal(name):
            raise PluginNotLoaded(f"'{name}' is not available: {why}")
        return self.find(name)

    def find(self, name: str) -> Function:
        """Return a function for a purpose of our own, whatever is refused."""
        module, _, function = name.partition(".")
        family = self._family(module)
        found = family.functions.get(function) if family else None
        if found is None:
            raise self._why_not(name, module, function, family)
        return found

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or self.refusal(name):
            return False
        module, _, function = name.partition(".")
        family = self._family(module)
        return family is not None and function in family.functions

    def __iter__(self) -> Iterator[str]:
        for module in self.modules():
            yield from (f"{module}.{function}" for function in self.functions(module))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def modules(self) -> list[str]:
        """List the names that have functions; this loads every plugin."""
        self._load_renamed()
        return sorted(name for name in self._sources if (family := self._family(name)) and family.functions)

    def functions(self, module: str) -> list[str]:
        """List the functions of one module, without its name."""
        family = self._family(module)
        return sorted(family.functions) if family else []

    def signature(self, name: str) -> inspect.Signature:
        """Return a function's signature, also where its plugin does not load here (its tool may come later)."""
        return inspect.signature(self.definition(name))

    def definition(self, name: str) -> Function:
        """Return the function, also where its plugin's `__virtual__` declined; do not call it then."""
        module, _, function = name.partition(".")
        family = self._family(module)
        if family is not None:
            found = family.functions.get(function) or family.unavailable.get(function)
            if found is not None:
                return found
        raise self._why_not(name, module, function, family)

    def doc(self, name: str) -> str:
        """Return a function's manual, or a module's with a name that has no dot."""
        if "." in name:
            return inspect.getdoc(self.definition(name)) or ""
        for source in self._sources.get(name, ()):
            module = self._import(source)
            if isinstance(module, ModuleType) and module.__doc__:
                return inspect.cleandoc(module.__doc__)
        return ""

    def failures(self) -> dict[str, str]:
        """Map each plugin that did not load to the reason, as far as plugins have been asked for."""
        return {name: "; ".join(family.reasons) for name, family in self._families.items() if family.reasons}

    def _family(self, name: str) -> Family | None:
        family = self._families.get(name)
        return self._load_family(name) if family is None else family

    def _load_family(self, name: str) -> Family | None:
        with self._lock:
            known = self._families.get(name) or self._loading.get(name)
            if known is not None:
                return known  # loaded meanwhile, or asked for by a plugin of its own while that loads
            if name not in self._sources:
                self._load_renamed()
            if name not in self._sources:
                return None
            family = self._loading[name] = Family()
            try:
                for source in self._sources[name]:
                    self._add(family, name, source)
                self._families[name] = family
            finally:
                self._loading.pop(name, None)
            return family

    def _load_renamed(self) -> None:
        """Import users' plugins whose `__virtual__` decides on their name, and file them under it."""
        with self._lock:
            if self._renamed:
                return
            self._renamed = True
            for source in [source for group in self._sources.values() for source in group if source.decides_name]:
                module = self._import(source)
                if not isinstance(module, ModuleType):
                    continue
                name, _reason = _virtual(module, source)
                if name and name != source.name:
                    self._sources.setdefault(name, []).insert(0, source)
                    self._families.pop(name, None)

    def _add(self, family: Family, wanted: str, source: Source) -> None:
        module = self._import(source)
        if not isinstance(module, ModuleType):
            family.reasons.append(f"{source.path}: {type(module).__name__}: {module}")
            return
        name, reason = _virtual(module, source)
        functions = public_functions(module)
        if name is None:
            family.reasons.append(f"{source.path}: {reason}")
            family.unavailable |= {key: value for key, value in functions.items() if key not in family.unavailable}
            return
        if name != wanted:
            return  # its `__virtual__` chose another name, and it is filed under that
        for key, function in functions.items():
            self._claim(family, source, key, function)

    def _claim(self, family: Family, source: Source, key: str, function: Function) -> None:
        owner = family.owners.get(key)
        if owner is None:
            family.functions[key] = function
            family.owners[key] = source.path
        elif source.package is not None and owner.parent == source.path.parent:
            raise PluginError(f"both {owner} and {source.path} define {source.name}.{key}")
        elif source.package is None:
            log.warning("%s.%s: %s is used, %s is not", source.name, key, owner, source.path)

    def _import(self, source: Source) -> ModuleType | Exception:
        if source.path not in self._imported:
            try:
                self._imported[source.path] = self._execute(source)
            except Exception as error:  # the boundary around plugin code: it may fail in any way
                log.debug("the plugin %s does not load", source.path, exc_info=True)
                self._imported[source.path] = error
        return self._imported[source.path]

    def _execute(self, source: Source) -> ModuleType:
        if source.package is not None:
            return importlib.import_module(f"{source.package}.{source.stem}")
        check_plugin(source.path)
        name = f"ctl_user_{self.kind}.{source.stem}"
        spec = importlib.util.spec_from_file_location(name, source.path)
        if spec is None or spec.loader is None:
            raise PluginError(f"{source.path} is no Python file")
        module = importlib.util.module_from_spec(spec)
        inject(module, self.context)
        sys.modules[name] = module  # dataclasses and pickle look a class's module up there
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        initialise = getattr(module, "__init__", None)
        if isinstance(initialise, FunctionType) and self.context is not None:
            initialise(self.context.config)
        return module

    def _why_not(self, name: str, module: str, function: str, family: Family | None) -> PluginError:
        if family is None or not (family.functions or family.reasons):
            close = nearest(module, self._sources)
            listing = _LISTINGS.get(self.kind, "ctl '*' sys.list_modules")
            hint = f"did you mean {close}?" if close else f"{listing} lists what is there"
            return PluginNotFound(f"'{name}' is not available: there is no module '{module}'", hint=hint)
        if family.reasons and (function in family.unavailable or not family.functions):
            return PluginNotLoaded(f"'{name}' is not available: {'; '.join(family.reasons)}")
        if not function:
            some = ", ".join(f"{module}.{key}" for key in sorted(family.functions)[:3])
            return PluginNotFound(f"'{name}' is a module, not a function", hint=f"it has {some}, ...")
        close = nearest(function, family.functions)
        return PluginNotFound(
            f"'{name}' is not available: '{module}' has no function '{function}'",
            hint=f"did you mean {module}.{close}?" if close else "",
        )


def _first_of_each_stem(sources: list[Source]) -> list[Source]:
    """Keep the first of several users' files with one stem: directories are in the order of their precedence."""
    kept: dict[str, Source] = {}
    for source in sources:
        kept.setdefault(source.stem, source)
    return list(kept.values())


def _virtual(module: ModuleType, source: Source) -> tuple[str | None, str]:
    """Ask `__virtual__`: the name to load under (None: not here), and the reason where there is none."""
    decide: Callable[[], Any] | None = getattr(module, "__virtual__", None)
    if decide is None:
        return source.name, ""
    try:
        verdict = decide()
    except Exception as error:  # the boundary around plugin code
        return None, f"its __virtual__ failed: {type(error).__name__}: {error}"
    reason = "its __virtual__ declined"
    if isinstance(verdict, tuple):
        verdict, reason = verdict[0], str(verdict[1]) if len(verdict) > 1 else reason
    if isinstance(verdict, str):
        return verdict, ""
    return (source.name, "") if verdict or verdict is None else (None, reason)


def public_functions(module: ModuleType) -> dict[str, Function]:
    """Return the functions that a plugin offers: public, defined in it, under their aliases."""
    aliases: Mapping[str, str] = getattr(module, "__func_alias__", {})
    return {
        aliases.get(name, name): value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and not isinstance(value, type)
        and getattr(value, "__module__", None) == module.__name__
    }


def load_plugins(
    context: Context,
    *,
    module_dirs: Sequence[Path] = (),
    state_dirs: Sequence[Path] = (),
    renderer_dirs: Sequence[Path] = (),
) -> Context:
    """Give `context` its execution and state functions and users' renderers, loaded as asked for; returns it."""
    context.functions = Loader("modules", "ctl.modules", module_dirs, context)
    context.states = Loader("states", "ctl.states", state_dirs, context)
    context.renderers = UserEngines(Loader("renderers", None, renderer_dirs, context))
    return context
