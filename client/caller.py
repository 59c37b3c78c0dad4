"""Run functions on this machine from Python, as its minion would, without asking the daemon to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DEFAULT_PATH = "/etc/ctl/minion"


class Caller:
    """Run execution functions here, with the minion configuration at `c_path` (a file or its directory).

    `mopts` holds settings that win over the file. With `local`, or `file_client: local` in the configuration, files
    and pillar come from the roots on this machine, and no master is asked.

        Caller().cmd("grains.get", "os")
    """

    def __init__(
        self,
        c_path: str | os.PathLike[str] = DEFAULT_PATH,
        mopts: Mapping[str, Any] | None = None,
        *,
        local: bool = False,
    ) -> None:
        from ..common import config  # a client of jobs alone needs neither this nor the minion's code

        path = Path(c_path)
        directory = None if os.fspath(c_path) == DEFAULT_PATH else path if path.is_dir() else path.parent
        self.config = config.load_minion(directory, mopts)
        self.local = local or self.config.file_client == "local"
        self.functions: Mapping[str, Any] = _Functions(self)

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open between calls."""

    def cmd(self, fun: str, *args: Any, **kwargs: Any) -> Any:
        """Run a function and return what it returns."""
        return self.call(fun, *args, **kwargs)["return"]

    function = cmd

    def call(self, fun: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run a function and return `{"return", "retcode", "success", "out"}`."""
        from ..minion import call

        found: dict[str, Any] = call.call(self.config, fun, list(args), kwargs, self.local)
        return found

    @property
    def sminion(self) -> Caller:
        """This object: Salt's users write `caller.sminion.functions["test.ping"]()`."""
        return self


class _Functions(Mapping[str, Any]):
    """Functions by name, each a callable; whether one exists shows when it is called."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __getitem__(self, name: str) -> Any:
        return lambda *args, **kwargs: self._caller.cmd(name, *args, **kwargs)

    def __iter__(self) -> Iterator[str]:
        return iter(self._caller.cmd("sys.list_functions"))

    def __len__(self) -> int:
        return len(self._caller.cmd("sys.list_functions"))
