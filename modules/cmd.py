"""Run commands and scripts on the minion, with or without a shell, as any user."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..common import process
from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.secret import Secret
from ._command import (
    Command,
    Options,
    arguments,
    cached_script,
    directory,
    environment,
    execute,
    find_shell,
    parse_umask,
    rendered,
    takes_options,
)

_CHROOT_MOUNTS = (("devtmpfs", "dev"), ("proc", "proc"), ("sysfs", "sys"))


@takes_options
def run(
    cmd: Command,
    cwd: str | None = None,
    stdin: Secret[str | None] = None,
    runas: str | None = None,
    bg: bool = False,
    **options: Any,
) -> str | dict[str, int]:
    """Run a command and return its output, standard error included.

    cmd
        A text or a list of words. A text given on the command line of `ctl` is run by a shell; one that a plugin or
        template passes is split into words, unless `python_shell=True`. A list never needs a shell.
    cwd
        Where to run it; an absolute path. Default: the home of the user.
    stdin
        A text to give to the command's standard input.
    runas, group
        Run as this user, with that user's groups, home and names in the environment; as this group.
    bg
        Start the command and return at once with its pid; its output is dropped.
    shell
        The shell to use; default: the grain `shell`.
    python_shell
        True: use a shell; False: do not.
    env, clean_env, prepend_path
        Variables to set; start from an empty environment; directories to put before `PATH`.
    template, saltenv
        Render the command with this engine first (`jinja`), in this environment.
    rstrip
        Take white space off the end of the output (True).
    umask
        In octal digits: `022`.
    output_encoding
        The encoding of the output; default UTF-8.
    output_loglevel
        Log the output at this level; default `quiet`: it is not logged.
    hide_output
        Return nothing of the output.
    timeout
        Seconds after which the command and all it started are stopped; the exit code is 124 then.
    reset_system_locale
        Run in the C locale (True), unless `env` says otherwise.
    ignore_retcode, success_retcodes, success_stdout, success_stderr
        Do not let the exit code decide over the job's success; count these exit codes or outputs as success.
    raise_err
        Raise an error where the exit code is not 0.
    use_vt
        Accepted for trees that have it; the output is always collected without a terminal.

    At most `output_max_bytes` (minion's configuration) of each stream are kept, from its start and its end, with a
    line between them that says how much is missing.

    CLI example: `ctl '*' cmd.run 'ls -l /etc | tail -3' runas=nobody timeout=10`
    """
    chosen = Options.given(options, cwd=cwd, stdin=stdin, runas=runas)
    if bg:
        return {"pid": _start(cmd, chosen)}
    output: str = execute(cmd, chosen, merge_stderr=True)["stdout"]
    return output


@takes_options
def shell(
    cmd: Command,
    cwd: str | None = None,
    stdin: Secret[str | None] = None,
    runas: str | None = None,
    bg: bool = False,
    **options: Any,
) -> str | dict[str, int]:
    """Run a text with a shell, whoever calls; else like `cmd.run`.

    CLI example: `ctl '*' cmd.shell 'ls -l | wc -l' cwd=/etc`
    """
    chosen = Options.given({**options, "python_shell": True}, cwd=cwd, stdin=stdin, runas=runas)
    if bg:
        return {"pid": _start(cmd, chosen)}
    output: str = execute(cmd, chosen, merge_stderr=True)["stdout"]
    return output


@takes_options
def run_stdout(
    cmd: Command,
    cwd: str | None = None,
    stdin: Secret[str | None] = None,
    runas: str | None = None,
    **options: Any,
) -> str:
    """Run a command and return its standard output alone; the arguments are those of `cmd.run`.

    CLI example: `ctl '*' cmd.run_stdout 'ls -l /etc'`
    """
    output: str = execute(cmd, Options.given(options, cwd=cwd, stdin=stdin, runas=runas))["stdout"]
    return output


@takes_options
def run_stderr(
    cmd: Command,
    cwd: str | None = None,
    stdin: Secret[str | None] = None,
    runas: str | None = None,
    **options: Any,
) -> str:
    """Run a command and return its standard error alone; the arguments are those of `cmd.run`.

    CLI example: `ctl '*' cmd.run_stderr 'ls /missing'`
    """
    output: str = execute(cmd, Options.given(options, cwd=cwd, stdin=stdin, runas=runas))["stderr"]
    return output


@takes_options
def run_all(
    cmd: Command,
    cwd: str | None = None,
    stdin: Secret[str | None] = None,
    runas: str | None = None,
    redirect_stderr: bool = False,
    bg: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Run a command and return a dict of its `pid`, `retcode`, `stdout` and `stderr`.

    With `redirect_stderr` both streams are in `stdout`, in the order of writing. The other arguments are those of
    `cmd.run`.

    CLI example: `ctl '*' cmd.run_all 'ls /etc /missing'`
    """
    chosen = Options.given(options, cwd=cwd, stdin=stdin, runas=runas)
    if bg:
        return {"pid": _start(cmd, chosen)}
    return execute(cmd, chosen, merge_stderr=redirect_stderr)


@takes_options
def retcode(
    cmd: Command,
    cwd: str | None = None,
    stdin: Secret[str | None] = None,
    runas: str | None = None,
    **options: Any,
) -> int:
    """Run a command and return its exit code; the arguments are those of `cmd.run`.

    CLI example: `ctl '*' cmd.retcode 'test -e /etc/passwd'`
    """
    code: int = execute(cmd, Options.given(options, cwd=cwd, stdin=stdin, runas=runas), merge_stderr=True)["retcode"]
    return code


@takes_options
def run_bg(
    cmd: Command,
    cwd: str | None = None,
    runas: str | None = None,
    **options: Any,
) -> dict[str, int]:
    """Start a command that outlives the job, without input and output, and return its `pid`.

    CLI example: `ctl '*' cmd.run_bg 'sleep 600; touch /tmp/done'`
    """
    return {"pid": _start(cmd, Options.given(options, cwd=cwd, runas=runas))}


def _start(cmd: Command, options: Options) -> int:
    return process.start_detached(
        arguments(rendered(cmd, options), options),
        cwd=directory(options),
        env=environment(options),
        user=options.runas,
        group=options.group,
        umask=parse_umask(options.umask),
    )


@takes_options
def script(
    source: str,
    args: str | list[str] | None = None,
    cwd: str | None = None,
    stdin: Secret[str | None] = None,
    runas: str | None = None,
    bg: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Run a script from the state tree or from the minion's disk; returns what `cmd.run_all` returns.

    source
        `salt://scripts/x.sh`, `ctl://…` or an absolute path. It is copied, may be rendered with `template`, and is
        run by the interpreter that its first line names, or by the shell where it names none.
    args
        Arguments: a list, or one text in which quotes group words as a shell's do.

    The other arguments are those of `cmd.run`. Without `cwd` the script runs in its own empty directory.

    CLI example: `ctl '*' cmd.script salt://scripts/backup.sh 'daily "two words"' runas=backup`
    """
    chosen = Options.given(options, cwd=cwd, stdin=stdin, runas=runas)
    text = _script_text(source, chosen)
    chosen = replace(chosen, template=None, python_shell=False)
    if bg:
        path = _write_script(text, chosen.runas, tempfile.mkdtemp(prefix="ctl-script-"))
        return {"pid": _start(_script_command(path, text, args, chosen), chosen)}
    with tempfile.TemporaryDirectory(prefix="ctl-script-") as folder:
        path = _write_script(text, chosen.runas, folder)
        return execute(_script_command(path, text, args, chosen), replace(chosen, cwd=cwd or folder))


def _script_text(source: str, options: Options) -> bytes:
    content = cached_script(source, options).read_bytes()
    if options.template is None:
        return content
    result = rendered(content.decode(), options)
    return (result if isinstance(result, str) else "\n".join(result)).encode()


def _write_script(text: bytes, runas: str | None, folder: str) -> Path:
    path = Path(folder) / "script"
    path.touch(mode=0o700)
    path.write_bytes(text)
    account = process.find_account(runas)
    if account is not None:
        os.chown(path, account.uid, account.gid)
        os.chown(folder, account.uid, account.gid)
    return path


def _script_command(path: Path, text: bytes, args: str | list[str] | None, options: Options) -> list[str]:
    words = arguments(args, options) if args else []
    if text.startswith(b"#!") and not options.shell:
        return [str(path), *words]
    return [find_shell(options.shell), str(path), *words]


@takes_options
def script_retcode(
    source: str,
    args: str | list[str] | None = None,
    cwd: str | None = None,
    stdin: Secret[str | None] = None,
    runas: str | None = None,
    **options: Any,
) -> int:
    """Run a script like `cmd.script` and return its exit code.

    CLI example: `ctl '*' cmd.script_retcode salt://scripts/check.sh`
    """
    code: int = script(source, args, cwd, stdin, runas, **options)["retcode"]
    return code


def exec_code(lang: str, code: str | list[str], cwd: str | None = None, args: list[str] | None = None) -> str:
    """Run a text as a program in `lang` (an interpreter: `python3`, `perl`, `bash`) and return its output.

    CLI example: `ctl '*' cmd.exec_code python3 'import os; print(os.getloadavg())'`
    """
    output: str = _exec_code(lang, code, cwd, args, merge_stderr=True)["stdout"]
    return output


def exec_code_all(
    lang: str, code: str | list[str], cwd: str | None = None, args: list[str] | None = None
) -> dict[str, Any]:
    """Run a text as a program in `lang` and return what `cmd.run_all` returns.

    CLI example: `ctl '*' cmd.exec_code_all bash 'echo out; echo err >&2; exit 3'`
    """
    return _exec_code(lang, code, cwd, args, merge_stderr=False)


def _exec_code(
    lang: str, code: str | list[str], cwd: str | None, args: list[str] | None, *, merge_stderr: bool
) -> dict[str, Any]:
    text = code if isinstance(code, str) else "\n".join(code)
    descriptor, path = tempfile.mkstemp(prefix="ctl-code-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        return execute([lang, path, *map(str, args or [])], Options(cwd=cwd), merge_stderr=merge_stderr)
    finally:
        os.unlink(path)


@takes_options
def run_chroot(
    root: str,
    cmd: Command,
    cwd: str | None = None,
    stdin: Secret[str | None] = None,
    runas: str | None = None,
    binds: list[str] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Run a command with `root` as its root directory; returns what `cmd.run_all` returns.

    `dev`, `proc` and `sys` are mounted below `root` for the time of the command, where nothing is mounted yet, and so
    is each directory of `binds` (or `/outside:/inside`). `cwd` and `runas` are names inside of `root`. The other
    arguments are those of `cmd.run`.

    CLI example: `ctl '*' cmd.run_chroot /srv/images/bookworm 'apt-get update'`
    """
    if not Path(root).is_dir():
        raise CommandExecutionError(f"the directory {root} does not exist")
    chroot = process.require_tool("chroot", "coreutils")
    chosen = Options.given(options, stdin=stdin)
    text = rendered(cmd, chosen)
    inner = [chosen.shell or "/bin/sh", "-c", text] if isinstance(text, str) else [str(word) for word in text]
    who = [f"--userspec={runas}"] if runas else []
    where = ["/bin/sh", "-c", 'cd -- "$1" && shift && exec "$@"', "sh", cwd] if cwd else []
    with _chroot_mounts(root, binds or []):
        return execute(
            [chroot, *who, "--", root, *where, *inner], replace(chosen, template=None, python_shell=False, cwd="/")
        )


@contextlib.contextmanager
def _chroot_mounts(root: str, binds: list[str]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for kind, name in _CHROOT_MOUNTS:
            _mount(stack, ["-t", kind, "--", kind], os.path.join(root, name))
        for bind in binds:
            outside, _, inside = bind.partition(":")
            _mount(stack, ["--bind", "--", outside], os.path.join(root, (inside or outside).lstrip("/")))
        yield


def _mount(stack: contextlib.ExitStack, arguments: list[str], target: str) -> None:
    if not os.path.isdir(target) or os.path.ismount(target):
        return
    process.tool(["mount", *arguments, target])
    stack.callback(process.tool, ["umount", "--lazy", "--", target], ok=None)


def which(cmd: str) -> str | None:
    """Return the path of a program, or nothing.

    CLI example: `ctl '*' cmd.which nginx`
    """
    return process.find_tool(cmd)


def which_bin(cmds: list[str]) -> str | None:
    """Return the path of the first of several programs that is there.

    CLI example: `ctl '*' cmd.which_bin '[pip3, pip]'`
    """
    return next((path for cmd in cmds if (path := process.find_tool(cmd))), None)


def has_exec(cmd: str) -> bool:
    """Say whether a program is there.

    CLI example: `ctl '*' cmd.has_exec nginx`
    """
    return process.find_tool(cmd) is not None


def shells() -> list[str]:
    """List the shells that `/etc/shells` names.

    CLI example: `ctl '*' cmd.shells`
    """
    try:
        text = Path("/etc/shells").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return _parse_shells(text)


def _parse_shells(text: str) -> list[str]:
    return [line for line in process.lines(text) if not line.startswith("#")]


def is_bash() -> bool:
    """Say whether the default shell of commands is bash.

    CLI example: `ctl '*' cmd.is_bash`
    """
    shell_path = shutil.which(str(current().grains.get("shell") or "/bin/sh")) or "/bin/sh"
    return "bash" in os.path.basename(os.path.realpath(shell_path))
