"""The corpus of state trees in `tests/data/sls`: what a case is, and which part of its outcome is compared.

Read by ctl's and by Salt's Python, so it needs only PyYAML. A folder is a case; its files are the environment `base`,
unless a `case.yaml` says otherwise:

    file_roots: {base: [states], dev: [dev]}    folders of the case, by environment
    pillar_roots: {base: [pillar]}
    config: {…}                                 settings of the minion
    grains: {…}                                 over those that every case has
    sls: [start]                                what state.sls is called with; the highstate where there is a top.sls
    options: {…}                                more arguments of the run (saltenv, pillar, exclude)
    outcomes: true                              of returns, compare only what came of them, not the words and values
    unordered: true                             of returns, do not compare the order: it is not decided
    keys: true                                  gpg has the keys of `_keys` (`gpg_keydir`)
    needs: [mako]                               Python packages that Salt needs for the case, and does not bring along

Where `_modules`, `_states`, `_grains`, `_utils`, `_renderers` or `_pillar` lie in a root of `base`, they are loaded as
users' plugins. `{folder}` in a text of `config` is the case's folder.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CORPUS = Path(__file__).parents[1] / "tests" / "data" / "sls"
MINION = "m1"
# The machine that every case is compiled for, whatever the machine is that compiles it.
GRAINS: dict[str, Any] = {
    "id": MINION,
    "host": MINION,
    "fqdn": f"{MINION}.example.org",
    "domain": "example.org",
    "kernel": "Linux",
    "os": "Debian",
    "os_family": "Debian",
    "osfinger": "Debian-12",
    "oscodename": "bookworm",
    "osrelease": "12",
    "osrelease_info": [12],
    "osmajorrelease": 12,
    "osarch": "amd64",
    "cpuarch": "x86_64",
    "init": "systemd",
    "num_cpus": 2,
    "mem_total": 2048,
    "virtual": "kvm",
    "ipv4": ["127.0.0.1", "192.0.2.10"],
    "ipv6": ["::1"],
    "fqdn_ip4": ["192.0.2.10"],
    "ip4_interfaces": {"lo": ["127.0.0.1"], "eth0": ["192.0.2.10"]},
    "shell": "/bin/sh",
    "roles": ["web", "db"],
    "datacenter": {"name": "ams", "rack": 7},
}
# Where the files of a case's states may be made: `opts.scratch` in its templates.
SCRATCH = Path(tempfile.gettempdir()) / f"compare-states-{os.getpid()}"
# What of a low chunk, and of a return, is compared.
LOW_WITHOUT = frozenset(("__source__", "name_order"))
RETURN_KEYS = ("result", "comment", "changes", "name", "__run_num__", "__state_ran__", "__id__", "__sls__")
FAILED = "One or more requisite failed: "


@dataclass(frozen=True)
class Case:
    """One tree, and how it is asked for."""

    name: str
    folder: Path
    file_roots: dict[str, list[str]]
    pillar_roots: dict[str, list[str]]
    config: Mapping[str, Any] = field(default_factory=dict)
    grains: Mapping[str, Any] = field(default_factory=dict)
    sls: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    outcomes: bool = False
    unordered: bool = False
    keys: bool = False
    needs: tuple[str, ...] = ()

    def missing(self, *, of_salt: bool = False) -> list[str]:
        """The programs that the case needs and this machine does not have; for Salt, packages that its Python lacks."""
        packages = [name for name in self.needs if of_salt and importlib.util.find_spec(name) is None]
        return packages + (["gpg"] if self.keys and shutil.which("gpg") is None else [])

    def plugins(self, kind: str) -> list[str]:
        """The folders with users' plugins of a kind (`modules`, `states`, `grains`, `utils`, …)."""
        shared = [CORPUS / f"_{kind}"]
        own = [Path(root) / f"_{kind}" for root in self.file_roots["base"]]
        return [str(folder) for folder in (*own, *shared) if folder.is_dir()]

    def comparable(self, part: str, found: Any) -> Any:
        """Reduce what a call gave to what is compared."""
        data = comparable(part, found)
        if part not in ("run", "test") or is_refusal(data):
            return data
        if self.unordered:
            data = {tag: {**data[tag], "__run_num__": 0} for tag in sorted(data)}
        if not self.outcomes:
            return data
        kept = ("result", "name", "__id__", "__state_ran__")
        return {
            tag: {key: ret[key] for key in kept if key in ret} | {"changes": sorted(ret["changes"])}
            for tag, ret in data.items()
        }

    def calls(self) -> dict[str, tuple[str, list[Any], dict[str, Any]]]:
        """For each part that is compared, the function that gives it, with its arguments."""
        options = dict(self.options)
        shown = {key: value for key, value in options.items() if key in ("saltenv", "pillarenv", "pillar")}
        args = [list(self.sls)] if self.sls else []
        show = "state.show_low_sls" if self.sls else "state.show_lowstate"
        run = "state.sls" if self.sls else "state.highstate"
        return {
            "low": (show, args, shown if self.sls else {}),
            "run": (run, args, options),
            "test": (run, args, {**options, "test": True}),
        }


def read(folder: Path) -> Case:
    """Read one case."""
    told = folder / "case.yaml"
    settings = yaml.safe_load(told.read_text()) if told.exists() else {}
    roots = {env: [str(folder / path) for path in paths] for env, paths in settings.get("file_roots", {}).items()}
    pillar = {env: [str(folder / path) for path in paths] for env, paths in settings.get("pillar_roots", {}).items()}
    roots = roots or {"base": [str(folder)]}
    has_top = any((Path(path) / "top.sls").exists() for paths in roots.values() for path in paths)
    sls = tuple(settings.get("sls") or (() if has_top else ("start",)))
    return Case(
        folder.name,
        folder,
        roots,
        pillar,
        _placed(settings.get("config", {}), str(folder)),
        settings.get("grains", {}),
        sls,
        settings.get("options", {}),
        bool(settings.get("outcomes")),
        bool(settings.get("unordered")),
        bool(settings.get("keys")),
        tuple(settings.get("needs", ())),
    )


def _placed(value: Any, folder: str) -> Any:
    """Put the case's folder into the texts of a configuration."""
    if isinstance(value, dict):
        return {key: _placed(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_placed(item, folder) for item in value]
    return value.replace("{folder}", folder) if isinstance(value, str) else value


def cases(names: Iterable[str] = ()) -> list[Case]:
    """Read the whole corpus, or the named cases."""
    wanted = set(names)
    folders = [path for path in sorted(CORPUS.iterdir()) if path.is_dir() and not path.name.startswith("_")]
    return [read(folder) for folder in folders if not wanted or folder.name in wanted]


@contextlib.contextmanager
def scratch() -> Iterator[str]:
    """Have an empty directory for the files of a case."""
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir()
    try:
        yield str(SCRATCH)
    finally:
        shutil.rmtree(SCRATCH, ignore_errors=True)


@contextlib.contextmanager
def keyring(case: Case) -> Iterator[dict[str, str]]:
    """Have a directory with the keys of the corpus, for a case that wants them: the setting that names it."""
    if not case.keys:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="keys-") as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--no-tty"]
        try:
            subprocess.run([*gpg, "--import", str(CORPUS / "_keys" / "secret.asc")], check=True, capture_output=True)
            yield {"gpg_keydir": home}
        finally:  # gpg leaves an agent behind, which would outlive its directory
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, capture_output=True)


def comparable(part: str, found: Any) -> Any:
    """Reduce what a call gave to what is compared; a list of sentences is a refusal, and stays."""
    text = json.dumps(found, default=str).replace(str(SCRATCH), "/scratch").replace(f"{CORPUS}/", "")
    data = json.loads(text)
    if isinstance(data, list) and all(isinstance(item, str) for item in data):
        return data
    if part == "pillar":
        return {**data, "_errors": True} if "_errors" in data else data
    if part == "low":
        return [{key: _once(value) for key, value in low.items() if key not in LOW_WITHOUT} for low in data]
    return {tag: _shorten(ret) for tag, ret in data.items()}


def _once(value: Any) -> Any:
    """Drop repeated references: by `require_in`, Salt names a state twice where it was given by its bare ID."""
    if isinstance(value, list) and value and all(isinstance(item, dict) and len(item) == 1 for item in value):
        return [item for number, item in enumerate(value) if item not in value[:number]]
    return value


def is_refusal(found: Any) -> bool:
    """Whether the run was refused: a list of sentences instead of data."""
    return isinstance(found, list) and bool(found) and all(isinstance(item, str) for item in found)


def _shorten(ret: dict[str, Any]) -> dict[str, Any]:
    kept = {key: ret[key] for key in RETURN_KEYS if key in ret}
    head, trace, _rest = str(kept.get("comment", "")).partition("Traceback")
    if isinstance(kept.get("changes"), dict) and "pid" in kept["changes"]:
        kept["changes"]["pid"] = 0
    if head.startswith(FAILED):  # Salt names them in the order of a set
        head = FAILED + ", ".join(sorted(head.removeprefix(FAILED).split(", ")))
    return {**kept, "comment": head + trace}
