"""The names that Salt's users expect inside their plugins: `__salt__`, `__grains__`, ..., and `import salt`.

They are put into a plugin's own module before its code runs. `import salt` is answered by the plugin's own
`__import__`, so nothing outside of users' plugins ever sees a module of that name.
"""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from types import ModuleType
from typing import Any

from .context import Context

_COMPAT = __package__ + ".saltcompat"


class Proxy(MutableMapping[str, Any]):
    """A mapping that looks its contents up at each use, so that a refresh is seen and nothing loads too early."""

    def __init__(self, find: Callable[[], Mapping[str, Any]]) -> None:
        self._find = find

    def __getitem__(self, key: str) -> Any:
        return self._find()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._target()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._target()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._find())

    def __len__(self) -> int:
        return len(self._find())

    def __contains__(self, key: object) -> bool:
        return key in self._find()

    def __repr__(self) -> str:
        return repr(self._find())

    def copy(self) -> dict[str, Any]:
        """Return a dict with the same contents, as `dict.copy` would."""
        return dict(self._find())

    def _target(self) -> MutableMapping[str, Any]:
        found = self._find()
        if not isinstance(found, MutableMapping):
            raise TypeError("this mapping cannot be changed by a plugin")
        return found


def inject(module: ModuleType, context: Context | None) -> None:
    """Put Salt's names into a user's plugin, before its code runs."""
    module.__dict__["__builtins__"] = users_builtins()
    if context is None:
        return
    names: dict[str, Any] = {
        "__salt__": Proxy(lambda: context.functions),
        "__states__": Proxy(lambda: states_as_dicts(context)),
        "__grains__": Proxy(lambda: context.grains),
        "__pillar__": Proxy(lambda: context.pillar),
        "__opts__": Proxy(lambda: {**context.config, "test": context.test, "id": context.id}),
        "__context__": Proxy(lambda: context.scratch),
        "__utils__": Utilities(),
        "__proxy__": {},
        "__env__": context.saltenv,
        "__sls__": "",
        "__low__": {},
        "__instance_id__": "",
    }
    module.__dict__.update(names)


def users_builtins() -> dict[str, Any]:
    """Make Python's builtins for what users write: `import salt` finds what ctl offers under Salt's names."""
    return {**vars(builtins), "__import__": _import}


class Utilities(Mapping[str, Callable[..., Any]]):
    """`__utils__`: functions of the files in `_utils`, which plugins can import by their plain names as well."""

    def __getitem__(self, name: str) -> Callable[..., Any]:
        module, _dot, function = name.partition(".")
        try:
            found: Callable[..., Any] = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError):
            raise KeyError(name) from None
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(())  # what there is has not been loaded

    def __len__(self) -> int:
        return 0

    def __contains__(self, name: object) -> bool:
        try:
            self[str(name)]
        except KeyError:
            return False
        return True


class StatesAsDicts(Mapping[str, Callable[..., dict[str, Any]]]):
    """`__states__`: a state function that plans, applies its plan, and returns Salt's dict."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __getitem__(self, name: str) -> Callable[..., dict[str, Any]]:
        function = self._context.states[name]

        def run(*args: Any, **kwargs: Any) -> dict[str, Any]:
            from .state import applying  # the state system loads plugins, so it cannot be imported before them

            returned: dict[str, Any] = applying.call(self._context, function, args, kwargs)
            return returned

        return run

    def __iter__(self) -> Iterator[str]:
        return iter(self._context.states)

    def __len__(self) -> int:
        return len(self._context.states)

    def __contains__(self, name: object) -> bool:
        return name in self._context.states


def states_as_dicts(context: Context) -> StatesAsDicts:
    """Return `__states__` for a context."""
    return StatesAsDicts(context)


def _import(
    name: str,
    globals: Mapping[str, Any] | None = None,  # the signature of builtins.__import__
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """Do what `__import__` does, with `salt` standing for what ctl offers under its names."""
    if level or not (name == "salt" or name.startswith("salt.")):
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    module = _compat(name)
    if not fromlist:
        return _compat("salt")
    for item in fromlist:
        if item != "*" and not hasattr(module, item):
            _compat(f"{name}.{item}")
    return module


def _compat(name: str) -> ModuleType:
    ours = _COMPAT + name.removeprefix("salt")
    try:
        return importlib.import_module(ours)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith(_COMPAT):
            raise
        raise ModuleNotFoundError(
            f"'{name}' is not among the parts of Salt's library that ctl offers to plugins", name=name
        ) from None
