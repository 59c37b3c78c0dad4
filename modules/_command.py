"""What the functions of `cmd` share: their options, and the way from a user's command to a program that has ended.

A shell runs only where one was asked for: with `python_shell: True`, by `cmd.shell`, or by a person who gave the
command itself to `cmd.run` as one text. A plugin that calls `cmd.run` with a text gets it split into words.
Neither commands nor their environment, input and output are logged, unless `output_loglevel` asks for the output.
"""

from __future__ import annotations

import inspect
import logging
import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from ..common import process
from ..common.context import current
from ..common.errors import ArgumentError, CommandExecutionError, nearest
from ..common.secret import Secret

log = logging.getLogger(__name__)

Command = str | list[str] | bool
"""A command as users give it; `cmd.run true` arrives as the boolean that YAML makes of the word."""

TIMED_OUT_RETCODE = 124
_NOT_FOR_CHILDREN = ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC")
_LOCALE = (
    *("LANG", "LC_CTYPE", "LC_NUMERIC", "LC_TIME", "LC_COLLATE", "LC_MONETARY", "LC_MESSAGES", "LC_PAPER"),
    *("LC_NAME", "LC_ADDRESS", "LC_TELEPHONE", "LC_MEASUREMENT", "LC_IDENTIFICATION"),
)
_LEVELS = {
    "all": logging.DEBUG,
    "garbage": logging.DEBUG,
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "profile": logging.INFO,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


@dataclass(frozen=True, slots=True)
class Options:
    """The options that every function of `cmd` takes; `cmd.run` says what each means."""

    cwd: str | None = None
    stdin: Secret[str | None] = None
    runas: str | None = None
    group: str | None = None
    shell: str | None = None
    python_shell: bool | None = None
    env: Secret[dict[str, Any] | None] = None
    clean_env: bool = False
    template: str | None = None
    rstrip: bool = True
    umask: str | int | None = None
    output_encoding: str | None = None
    output_loglevel: str = "quiet"
    hide_output: bool = False
    timeout: float | None = None
    reset_system_locale: bool = True
    ignore_retcode: bool = False
    saltenv: str | None = None
    use_vt: bool = False
    raise_err: bool = False
    prepend_path: str | list[str] | None = None
    success_retcodes: list[int] | None = None
    success_stdout: list[str] | None = None
    success_stderr: list[str] | None = None

    @classmethod
    def given(cls, options: Mapping[str, Any], **more: Any) -> Options:
        """Take what a caller gave; refuse what is no option (a plugin's own call is not checked before).

        Where nothing says as whom to run, the `runas` of the state does whose function asks.
        """
        merged = {key: value for key, value in {**options, **more}.items() if not key.startswith("__")}
        if merged.get("runas") is None:
            merged["runas"] = current().scratch.get("runas")
        known = {one.name for one in fields(cls)}
        unknown = sorted(merged.keys() - known)
        if unknown:
            close = nearest(unknown[0], known)
            hint = f"did you mean {close}?" if close else f"known are {', '.join(sorted(known))}"
            raise ArgumentError(f"a command has no option {', '.join(unknown)}", hint=hint)
        return cls(**merged)


F = TypeVar("F", bound=Callable[..., Any])


def takes_options(function: F) -> F:
    """Spell a function's `**options` out in its signature, for the manual and for the check of its arguments."""
    hints = get_type_hints(Options, include_extras=True)
    own = inspect.signature(function).parameters.values()
    named = [parameter for parameter in own if parameter.kind is not parameter.VAR_KEYWORD]
    taken = {parameter.name for parameter in named}
    added = [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=hints[one.name])
        for one in fields(Options)
        if one.name not in taken
    ]
    function.__signature__ = inspect.Signature([*named, *added])  # type: ignore[attr-defined]  # inspect reads it
    function.__annotations__.pop("options", None)
    function.__annotations__ |= {parameter.name: parameter.annotation for parameter in added}
    return function


def execute(cmd: Command, options: Options, *, merge_stderr: bool = False) -> dict[str, Any]:
    """Run a user's command to its end; return pid, retcode, stdout and stderr, and set the job's exit code."""
    argv = arguments(rendered(cmd, options), options)
    started = time.monotonic()
    done = process.run(
        argv,
        stdin=options.stdin,
        cwd=directory(options),
        env=environment(options),
        user=options.runas,
        group=options.group,
        timeout=options.timeout,
        umask=parse_umask(options.umask),
        limit_bytes=output_limit(),
        merge_stderr=merge_stderr,
    )
    log.debug("a command ended: pid %d, exit code %d, %.3f s", done.pid, done.retcode, time.monotonic() - started)
    return conclude(done, options)


def conclude(done: process.Completed, options: Options) -> dict[str, Any]:
    """Turn a completed program into what `cmd.run_all` returns."""
    stdout, stderr = (decode(data, options) for data in (done.stdout, done.stderr))
    retcode = done.retcode
    if done.timed_out:
        retcode = TIMED_OUT_RETCODE
        notice = f"Timed out after {options.timeout:g} seconds"
        stdout = f"{stdout}\n{notice}" if stdout else notice
    if _is_success(retcode, stdout, stderr, options):
        retcode = 0
    current().scratch["retcode"] = 0 if options.ignore_retcode else retcode
    _log_output(stdout, stderr, options.output_loglevel)
    if retcode != 0 and options.raise_err:
        shown = "its output is hidden" if options.hide_output else (stderr or stdout or "it gave no reason")
        raise CommandExecutionError(f"the command failed with exit code {retcode}: {shown}")
    if options.hide_output:
        stdout = stderr = ""
    return {"pid": done.pid, "retcode": retcode, "stdout": stdout, "stderr": stderr}


def _is_success(retcode: int, stdout: str, stderr: str, options: Options) -> bool:
    return (
        retcode in (options.success_retcodes or ())
        or stdout in (options.success_stdout or ())
        or stderr in (options.success_stderr or ())
    )


def _log_output(stdout: str, stderr: str, level: str) -> None:
    number = _LEVELS.get(level)
    if number is not None:
        for name, text in (("stdout", stdout), ("stderr", stderr)):
            if text:
                log.log(number, "%s: %s", name, text)


def decode(data: bytes, options: Options) -> str:
    """Decode a program's output; what is not text in the encoding becomes replacement characters."""
    try:
        text = data.decode(options.output_encoding or "utf-8", "replace")
    except LookupError:
        raise CommandExecutionError(f"there is no encoding {options.output_encoding!r}") from None
    return text.rstrip() if options.rstrip else text


def output_limit() -> int:
    """Return how many bytes of each stream are kept."""
    return int(current().config.get("output_max_bytes") or process.DEFAULT_LIMIT_BYTES)


def rendered(cmd: Command, options: Options) -> str | list[str]:
    """Return the command as text or list, rendered where `template` asks for it."""
    if isinstance(cmd, bool):
        cmd = str(cmd).lower()
    template = options.template
    if template is None:
        return cmd
    saltenv = options.saltenv or current().saltenv

    def render(text: str) -> str:
        return str(current().call("slsutil.renderer", string=text, default_renderer=template, saltenv=saltenv))

    return render(cmd) if isinstance(cmd, str) else [render(str(word)) for word in cmd]


def arguments(cmd: str | list[str], options: Options) -> list[str]:
    """Return the argument list to run: the user's own, or a shell's with the user's text."""
    if wants_shell(cmd, options.python_shell):
        text = cmd if isinstance(cmd, str) else shlex.join(str(word) for word in cmd)
        return [find_shell(options.shell), "-c", text]
    try:
        words = shlex.split(cmd) if isinstance(cmd, str) else [str(word) for word in cmd]
    except ValueError as error:
        raise CommandExecutionError(
            f"the command cannot be split into words: {error}", hint="pass a list, or python_shell=True"
        ) from None
    if not words:
        raise CommandExecutionError("the command is empty")
    return words


def wants_shell(cmd: str | Sequence[str], python_shell: bool | None) -> bool:
    """Say whether a shell runs this: as the caller says, else only for a text that a person gave to `cmd` by hand."""
    if python_shell is not None:
        return python_shell
    published = current().fun
    names = [published] if isinstance(published, str) else published
    return isinstance(cmd, str) and any(name.startswith("cmd.") for name in names)


def find_shell(shell: str | None) -> str:
    """Return the shell to use: the one given, else the one in the grains, else /bin/sh."""
    wanted = shell or current().grains.get("shell") or "/bin/sh"
    path = process.find_tool(str(wanted))
    if path is not None:
        return path
    if shell:
        raise CommandExecutionError(
            f"the shell {shell} is not on this machine, or cannot be run", hint="cmd.shells lists the shells"
        )
    return "/bin/sh"


def directory(options: Options) -> str:
    """Return the working directory: the one given, else the user's home where it can be entered, else `/`."""
    cwd = options.cwd
    if cwd:
        path = os.path.expanduser(cwd)
        if not os.path.isabs(path):
            raise CommandExecutionError(f"the working directory {cwd} is not an absolute path")
        return path
    account = process.find_account(options.runas)
    home = account.home if account else os.path.expanduser("~")
    return home if os.path.isabs(home) and _may_enter(home, account) else "/"


def _may_enter(path: str, account: process.Account | None) -> bool:
    if account is None or account.uid == os.geteuid():
        return os.access(path, os.R_OK | os.X_OK)
    try:
        found = os.stat(path)
    except OSError:
        return False
    shift = 6 if found.st_uid == account.uid else 3 if found.st_gid in account.groups else 0
    return found.st_mode >> shift & 0o5 == 0o5


def environment(options: Options) -> dict[str, str]:
    """Return the whole environment of the command."""
    given = {str(key): "" if value is None else str(value) for key, value in _as_mapping(options.env).items()}
    result = {} if options.clean_env else _inherited(options)
    result |= given
    prepend = options.prepend_path
    if prepend:
        words = [prepend] if isinstance(prepend, str) else prepend
        result["PATH"] = ":".join([*words, result.get("PATH", os.defpath)])
    return result


def _inherited(options: Options) -> dict[str, str]:
    result = {key: value for key, value in os.environ.items() if key not in _NOT_FOR_CHILDREN}
    account = process.find_account(options.runas)
    if account is not None:
        result = {key: value for key, value in result.items() if not key.startswith("XDG_")}
        result |= {"HOME": account.home, "USER": account.name, "LOGNAME": account.name, "SHELL": account.shell}
    if options.reset_system_locale:
        result = {key: value for key, value in result.items() if key not in ("LC_ALL", "LANGUAGE")}
        chosen = _as_mapping(options.env)
        # A user who chooses LANG means it: the finer settings would take precedence over it.
        result |= {"LANG": "C.UTF-8"} if "LANG" in chosen else dict.fromkeys(_LOCALE, "C.UTF-8")
        result = {key: value for key, value in result.items() if not ("LANG" in chosen and key.startswith("LC_"))}
    return result


def _as_mapping(env: Any) -> Mapping[str, Any]:
    """Accept what trees have for `env`: a mapping, or a list of mappings."""
    if isinstance(env, list):
        return {key: value for item in env for key, value in item.items()}
    return env or {}


def parse_umask(umask: str | int | None) -> int:
    """Return a umask written in octal digits as a number; -1 where none is given."""
    if umask is None or umask == "":
        return -1
    try:
        value = int(str(umask).removeprefix("0o"), 8)
    except ValueError:
        value = -1
    if not 0 <= value <= 0o777:
        raise CommandExecutionError(f"the umask {umask!r} is not written in octal digits, such as 022")
    return value


def cached_script(source: str, options: Options) -> Path:
    """Return a local path with the content of `source` (`salt://`, `ctl://` or an absolute path)."""
    saltenv = options.saltenv or current().saltenv
    if os.path.isabs(source):
        if not os.path.isfile(source):
            raise CommandExecutionError(f"there is no script {source} on this machine")
        return Path(source)
    cached = current().call("cp.cache_file", source, saltenv)
    if not cached:
        raise CommandExecutionError(f"there is no script {source} in environment {saltenv}")
    return Path(cached)
