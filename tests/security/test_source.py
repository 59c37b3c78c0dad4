"""What holds for the whole source: one way to read YAML, no code out of data, no shell, no predictable names."""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctl.common import sockets
from ctl.master.clients import OPERATIONS

ROOT = Path(__file__).parents[2]
ROOMS = ("common", "modules", "states", "minion", "master", "client")
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
# who may load YAML, and why it is no second way to read what peers send
YAML_READERS = {
    "common/render_yaml.py": "the one reader of files and of what is rendered",
    "common/config.py": "the configuration, before anything heavy is imported; root's own file",
    "common/arguments.py": "one word of a command line, without aliases and deep nesting",
    "common/saltcompat/utils/yaml.py": "what users' plugins ask for under Salt's name",
    "client/settings.py": "the configuration, as thin programs read it",
    "minion/grains_static.py": "the grains file of this machine, root's own",
    "modules/grains.py": "the same file",
    "master/pillar_sources/cmd_yaml.py": "what a command of the master's own configuration prints, in a bounded worker",
    "master/pillar_sources/stack.py": "files that the master's own configuration names, in a bounded worker",
}
UNSAFE_YAML = {
    "Loader",
    "FullLoader",
    "UnsafeLoader",
    "CLoader",
    "CFullLoader",
    "CUnsafeLoader",
    "unsafe_load",
    "full_load",
}
DESERIALISERS = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "joblib"}
# where what is between the files of a kind and the rest: data of peers is never dispatched by `getattr`
DISPATCHERS = (
    "master/channel.py",
    "master/handlers.py",
    "master/clients.py",
    "master/handshakes.py",
    "minion/services.py",
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text())))


def dotted(node: ast.AST) -> str:
    """Return the name of an expression such as `yaml.load`."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    return ((dotted(node.func), node) for node in nodes(path) if isinstance(node, ast.Call))


def imports(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def test_s34_yaml_is_read_by_safe_loaders_in_known_places() -> None:
    users = {
        name_of(path)
        for path in FILES
        if any(name.startswith("yaml.") and ("load" in name.lower() or "parse" in name) for name, _ in calls(path))
    }
    assert users == YAML_READERS.keys()
    for file in YAML_READERS.keys() - {"common/render_yaml.py"}:
        for name, call in calls(ROOT / file):
            if name == "yaml.load":
                assert "SafeLoader" in ast.unparse(call), f"{file}:{call.lineno}"
    for path in FILES:
        unsafe = {dotted(node) for node in nodes(path) if isinstance(node, ast.Attribute) and node.attr in UNSAFE_YAML}
        assert not {found for found in unsafe if found.startswith("yaml.")}, name_of(path)


def test_p04_no_objects_are_made_of_bytes() -> None:
    found = [
        f"{name_of(path)}: {name}" for path in FILES for name in imports(path) if name.split(".")[0] in DESERIALISERS
    ]
    assert found == []


def test_p04_msgpack_is_read_with_its_limits() -> None:
    """Every reader refuses extension types; none makes objects by a hook of its own but those that only refuse."""
    readers = [(name_of(p), c) for p in FILES for name, c in calls(p) if name in ("msgpack.unpackb", "msgpack.loads")]
    assert {name for name, _ in readers} == {"common/wire.py", "common/payload.py", "common/ipc.py", "minion/link.py"}
    for name, call in readers:
        given = {word.arg: word.value for word in call.keywords}
        assert getattr(given["max_ext_len"], "value", None) == 0, name
        assert dotted(given.get("ext_hook", ast.Name("refuse_extension"))) == "refuse_extension", name
        assert "object_hook" not in given


@pytest.mark.parametrize("file", DISPATCHERS)
def test_p04_what_peers_ask_is_not_looked_up_by_getattr(file: str) -> None:
    for name, call in calls(ROOT / file):
        if name in ("getattr", "hasattr", "globals", "vars", "eval", "exec", "importlib.import_module"):
            assert name == "getattr", f"{file}:{call.lineno}"
            assert isinstance(call.args[1], ast.Constant), (
                f"{file}:{call.lineno}: getattr with a name that is not fixed"
            )


def test_s04_no_shell_runs_what_is_put_together() -> None:
    """`shell=True`, os.system and os.popen are nowhere; `sh -c` only where a user's text is the whole command."""
    for path in FILES:
        for name, call in calls(path):
            assert name not in ("os.system", "os.popen", "subprocess.getoutput", "commands.getoutput"), name_of(path)
            shells = [word for word in call.keywords if word.arg == "shell" and getattr(word.value, "value", 0) is True]
            assert not shells, f"{name_of(path)}:{call.lineno}"
        for node in nodes(path):
            if isinstance(node, ast.List | ast.Tuple) and re.search(r"'(/bin/)?(ba|da)?sh'|shell", ast.unparse(node)):
                words = [getattr(word, "value", None) for word in node.elts]
                assert "-c" not in words or name_of(path) in SHELL_USERS, f"{name_of(path)}:{node.lineno}"


# a shell with a text that is fixed, or the user's own whole command
SHELL_USERS = {
    "common/process.py": "starts its arguments in the background; the text is fixed",
    "modules/_command.py": "the command that the user gave",
    "modules/cmd.py": "run_chroot: the user's command, and a fixed text that changes the directory",
    "master/pillar_sources/_command.py": "the command of the master's own configuration",
}


def test_s10_nobody_writes_the_masters_trees() -> None:
    """No operation and no runner takes a path and a text for the state or pillar tree."""
    assert not {name for name in OPERATIONS if re.search(r"roots|pillar\.write|states?\.write|file\.write", name)}
    writers = ("write_text", "write_bytes", "atomic_write", "open_parent", "mkdir")
    for path in sorted((ROOT / "master" / "runners").glob("*.py")):
        assert not [name for name, _ in calls(path) if name.rpartition(".")[2] in writers], name_of(path)


def test_s22_temporary_names_are_not_predictable() -> None:
    """No `mktemp`, no fixed name in a directory that everybody may write to."""
    for path in FILES:
        for name, call in calls(path):
            assert name not in ("tempfile.mktemp", "os.tempnam", "os.tmpnam", "os.tmpfile"), (
                f"{name_of(path)}:{call.lineno}"
            )
        for node in nodes(path):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
                assert not re.match(r"/(tmp|var/tmp|dev/shm)/\w", node.value), f"{name_of(path)}:{node.lineno}"


def test_s08_nothing_turns_the_check_of_certificates_off() -> None:
    """What may turn it off is an argument of the caller's (`verify_ssl`), passed on and never a constant."""
    for path in FILES:
        for name, call in calls(path):
            for word in call.keywords:
                off = isinstance(word.value, ast.Constant) and word.value.value is False
                assert not (off and word.arg in ("verify", "verify_ssl", "check_hostname")), (
                    f"{name_of(path)}:{call.lineno}"
                )
            if name.endswith("_create_unverified_context"):
                assert name_of(path) in UNVERIFIED, f"{name_of(path)}:{call.lineno}"


UNVERIFIED = {"modules/_cached.py"}  # where `verify_ssl=False` of a call ends


def test_p16_jinja_keeps_no_bytecode_on_disk() -> None:
    assert not [name_of(p) for p in FILES for name, _ in calls(p) if name.endswith("BytecodeCache")]
    words = [word.arg for path in FILES for _, call in calls(path) for word in call.keywords]
    assert "bytecode_cache" not in words


FLOORS = {"tornado": (6, 5), "Jinja2": (3, 1, 6), "PyYAML": (6, 0, 1), "msgpack": (1, 2, 1), "pyzmq": (26, 2)}


@pytest.mark.parametrize("package", FLOORS)
def test_p15_libraries_have_floors_above_their_known_holes(package: str) -> None:
    """tornado 6.5 bounds its parsers (P15); jinja2 3.1.6 closes the sandbox (S11); pyzmq brings libzmq 4.3.5 (P14)."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    every = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    floors = {found[1]: found[2] for one in every if (found := re.match(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", one))}
    if package not in floors:
        pytest.skip(f"{package} is not a dependency")
    assert tuple(int(word) for word in floors[package].split(".")) >= FLOORS[package]


def test_p14_libzmq_is_new_enough_and_an_old_one_is_named(
    run_fleet: Any, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sockets.MIN_LIBZMQ >= (4, 3, 5)
    assert sockets.library_version() >= sockets.MIN_LIBZMQ
    monkeypatch.setattr(sockets, "MIN_LIBZMQ", (99, 0, 0))

    async def scenario(fleet: Any) -> None:
        assert len(lines.about("libzmq", room="ctl.master")) == 1

    run_fleet(scenario, minions=0)
