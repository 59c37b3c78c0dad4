"""Try out the way from a client to a minion and back: answers, waits, errors and exit codes on demand."""

from __future__ import annotations

import platform
import random
import sys
import time
import traceback
from typing import Any

from .. import __version__
from ..common.arguments import parse_value
from ..common.context import current
from ..common.errors import CommandExecutionError

__func_alias__ = {"true_": "true", "false_": "false", "try_": "try"}

_LIBRARIES = ("pyzmq", "msgpack", "cryptography", "PyYAML", "Jinja2", "tornado", "psutil", "msgspec", "rich")


def ping() -> bool:
    """Answer True: the minion is there, and runs jobs.

    CLI example: `ctl '*' test.ping`
    """
    return True


def echo(text: str) -> str:
    """Return a text.

    CLI example: `ctl '*' test.echo 'foo bar'`
    """
    return text


def version() -> str:
    """Return the version of ctl on the minion.

    CLI example: `ctl '*' test.version`
    """
    return __version__


def versions_information() -> dict[str, dict[str, str]]:
    """Return the versions of ctl, of what it depends on, and of the system.

    CLI example: `ctl '*' test.versions_information`
    """
    grains = current().grains
    libraries = {name: _installed_version(name) for name in _LIBRARIES} | {"Python": platform.python_version()}
    return {
        "CTL Version": {"ctl": __version__},
        "Dependency Versions": dict(sorted(libraries.items(), key=lambda pair: pair[0].lower())),
        "System Versions": {
            "dist": str(grains.get("osfinger") or grains.get("os") or ""),
            "machine": platform.machine(),
            "release": platform.release(),
            "system": platform.system(),
        },
    }


def _installed_version(name: str) -> str:
    from importlib import metadata  # every job's process has this module loaded, and none of them asks for versions

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "Not Installed"


def versions_report() -> str:
    """Return the versions of ctl, of what it depends on, and of the system, as a text.

    CLI example: `ctl '*' test.versions_report`
    """
    blocks = []
    for title, found in versions_information().items():
        width = max(len(name) for name in found)
        blocks.append("\n".join([f"{title}:", *(f"    {name:>{width}}: {value}" for name, value in found.items())]))
    return "\n\n".join(blocks)


def versions() -> str:
    """Do what `test.versions_report` does.

    CLI example: `ctl '*' test.versions`
    """
    return versions_report()


def arg(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return the arguments as they arrived.

    CLI example: `ctl '*' test.arg 1 "two" 3.1 txt="hello" wow='{a: 1, b: "hello"}'`
    """
    return {"args": list(args), "kwargs": kwargs}


def arg_clean(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return the arguments as they arrived, without those that ctl adds.

    CLI example: `ctl '*' test.arg_clean 1 "two" txt="hello"`
    """
    return {"args": list(args), "kwargs": {key: value for key, value in kwargs.items() if not key.startswith("__")}}


def arg_repr(*args: Any, **kwargs: Any) -> dict[str, str]:
    """Return the arguments as Python writes them.

    CLI example: `ctl '*' test.arg_repr 1 "two" 3.1 txt="hello"`
    """
    return {"args": repr(args), "kwargs": repr(kwargs)}


def arg_type(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return the types of the arguments.

    CLI example: `ctl '*' test.arg_type 1 'int'`
    """
    return {"args": [str(type(one)) for one in args], "kwargs": {key: str(type(one)) for key, one in kwargs.items()}}


def kwarg(**kwargs: Any) -> dict[str, Any]:
    """Return the keyword arguments as they arrived.

    CLI example: `ctl '*' test.kwarg num=1 txt="two" env='{a: 1, b: "hello"}'`
    """
    return kwargs


def sleep(length: float) -> bool:
    """Wait for some seconds, and answer True.

    CLI example: `ctl '*' test.sleep 20`
    """
    time.sleep(length)
    return True


def rand_sleep(max: int = 60) -> bool:  # the argument's name is the one that users know
    """Wait for up to `max` seconds, and answer True.

    CLI example: `ctl '*' test.rand_sleep 60`
    """
    time.sleep(random.uniform(0, max))  # noqa: S311  # nothing secret hangs on it
    return True


def rand_str(size: int = 64, hash_type: str = "sha256") -> str:
    """Return random hex digits: those of the hash of some random bytes.

    CLI example: `ctl '*' test.rand_str`
    """
    return str(current().call("random.hash", str(random.SystemRandom().getrandbits(size * 8)), hash_type))


def exception(message: str = "Test Exception") -> None:
    """Fail with an exception, to see what becomes of it.

    CLI example: `ctl '*' test.exception 'Oh noes!'`
    """
    raise Exception(message)


def retcode(code: int = 42) -> bool:
    """Let the job end with an exit code.

    CLI example: `ctl '*' test.retcode 42`
    """
    current().scratch["retcode"] = code
    return True


def outputter(data: Any) -> Any:
    """Return data, to see how it is shown.

    CLI example: `ctl '*' test.outputter foobar`
    """
    return data


def true_() -> bool:
    """Answer True.

    CLI example: `ctl '*' test.true`
    """
    return True


def false_() -> bool:
    """Answer False.

    CLI example: `ctl '*' test.false`
    """
    return False


def try_(module: str, return_try_exception: bool = False, **kwargs: Any) -> Any:
    """Call another function, and answer False where it fails; or the error's words, with `return_try_exception`.

    CLI example: `ctl '*' test.try module=file.read path=/no/such return_try_exception=True`
    """
    given = {key: value for key, value in kwargs.items() if not key.startswith("__")}
    try:
        return current().functions[module](**given)
    except Exception as error:  # the boundary around what a user asked to try
        return str(error) if return_try_exception else False


def fib(num: int) -> tuple[int, float]:
    """Return a Fibonacci number, and the seconds that it took.

    CLI example: `ctl '*' test.fib 30`
    """
    if not 0 <= num <= 100_000:
        raise CommandExecutionError(f"{num} is not between 0 and 100000")
    started = time.time()
    first, second = 0, 1
    for _ in range(num):
        first, second = second, first + second
    return first, time.time() - started


def collatz(start: int) -> tuple[list[int], float]:
    """Return the steps from a number down to 1 in the Collatz sequence, and the seconds that it took.

    CLI example: `ctl '*' test.collatz 3`
    """
    if start < 1:
        raise CommandExecutionError(f"{start} is not a positive number")
    began = time.time()
    steps = []
    while start != 1:
        steps.append(start)
        start = start * 3 + 1 if start % 2 else start // 2
    return steps, time.time() - began


def provider(module: str) -> str:
    """Return which plugin stands behind a module's name (`service` is `service_systemd`, say).

    CLI example: `ctl '*' test.provider service`
    """
    found = providers().get(module)
    if found is None:
        raise CommandExecutionError(f"no module {module!r} is loaded on this minion")
    return found


def providers() -> dict[str, str]:
    """Return which plugin stands behind each module's name.

    CLI example: `ctl '*' test.providers`
    """
    functions = current().functions
    found: dict[str, list[str]] = {}
    for name in functions:
        stem = functions[name].__module__.rpartition(".")[2]
        stems = found.setdefault(name.partition(".")[0], [])
        if stem not in stems:
            stems.append(stem)
    return {module: ", ".join(sorted(stems)) for module, stems in sorted(found.items())}


def not_loaded() -> dict[str, str]:
    """Return the plugins that did not load on this minion, with the reason.

    CLI example: `ctl '*' test.not_loaded`
    """
    functions = current().functions
    list(functions)
    failures = getattr(functions, "failures", None)
    return dict(failures()) if failures else {}


def get_opts() -> dict[str, Any]:
    """Return the configuration of the minion.

    CLI example: `ctl '*' test.get_opts`
    """
    return dict(current().config)


def stack() -> str:
    """Return the stack of calls that led here.

    CLI example: `ctl '*' test.stack`
    """
    return "".join(traceback.format_stack())


def assertion(assertion: Any) -> None:
    """Fail unless the argument is true.

    CLI example: `ctl '*' test.assertion False`
    """
    value = parse_value(assertion) if isinstance(assertion, str) else assertion
    if not value:
        raise AssertionError("the assertion is not true")


def module_report() -> dict[str, Any]:
    """Return the modules and functions that are loaded on this minion.

    CLI example: `ctl '*' test.module_report`
    """
    names = sorted(current().functions)
    modules = sorted({name.partition(".")[0] for name in names})
    return {"functions": names, "modules": modules, "python": sys.version}
