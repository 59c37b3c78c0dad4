"""Commands: run them, on every run or when something has changed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

from ..common.context import current
from ..common.state.plan import Changes, Plan, opaque, refuse, same
from ._command_state import Options, Report, read_report, takes_options
from ._planning import planning
from ._recipe import Recipe


@planning
@takes_options
def run(name: str, bg: bool = False, **options: Any) -> Plan:
    """Run a command with the shell; it fails where its exit code is not 0.

    cwd, runas, env, umask, shell, prepend_path
        Where, as whom and with which environment it runs; `root` runs it with another root directory.
    timeout, ignore_timeout
        How many seconds it may take; and to succeed where it took longer.
    success_retcodes, success_stdout, success_stderr
        What counts as success, too.
    stateful
        The last line that it writes says whether it changed something: `changed=yes comment='…'`, or JSON. With
        `- test_name: CMD`, that command answers for it in a dry run.
    bg
        Start it and do not wait.
    hide_output, output_loglevel, use_vt
        As in `cmd.run` of the command line.

    Use `unless`, `onlyif`, `creates` or `onchanges` to run it only where there is need.

    SLS example:

        make install:
          cmd.run:
            - cwd: /usr/src/app
            - creates: /usr/local/bin/app
    """
    given = Options(**options)
    if bg:
        return opaque(f'Command "{name}" would be started', lambda: _start(name, given))
    return _plan(name, given, f'Command "{name}"', lambda: _run(name, given))


@planning
@takes_options
def wait(name: str, **options: Any) -> Plan:
    """Run a command when something that it watches has changed; the arguments are those of `cmd.run`.

    SLS example:

        newaliases:
          cmd.wait:
            - watch:
              - file: /etc/aliases
    """
    return same("Nothing that this command watches has changed")


@planning
@takes_options
def watch(name: str, **options: Any) -> Plan:
    """Do what `cmd.wait` does, by its old name.

    SLS example:

        newaliases:
          cmd.watch:
            - watch:
              - file: /etc/aliases
    """
    return same("Nothing that this command watches has changed")


@planning
@takes_options
def script(
    name: str,
    source: str | None = None,
    template: str | None = None,
    args: str | None = None,
    context: dict[str, Any] | None = None,
    defaults: dict[str, Any] | None = None,
    **options: Any,
) -> Plan:
    """Fetch a script from the state tree (or take one of this machine) and run it; it fails as `cmd.run` does.

    source
        Where it is (`salt://…`); default: the state's name.
    args
        What it gets on its command line.
    template
        Render it before, with the variables of `defaults` and `context`.

    The other arguments are those of `cmd.run`.

    SLS example:

        set it up:
          cmd.script:
            - source: salt://scripts/setup.sh
            - args: --fast
    """
    given = Options(**options)
    words = args
    where = source
    if where is None:
        where, _, rest = name.partition(" ")
        words = args or rest or None
    recipe = Recipe(source=where, template=template, context=context, defaults=defaults)
    return _plan(name, given, f'Command "{name}"', lambda: _script(recipe, words, given))


@planning
@takes_options
def wait_script(
    name: str,
    source: str | None = None,
    template: str | None = None,
    args: str | None = None,
    context: dict[str, Any] | None = None,
    defaults: dict[str, Any] | None = None,
    **options: Any,
) -> Plan:
    """Run a script when something that it watches has changed; the arguments are those of `cmd.script`.

    SLS example:

        rebuild:
          cmd.wait_script:
            - source: salt://scripts/rebuild.sh
            - watch:
              - file: /etc/app.conf
    """
    return same("Nothing that this script watches has changed")


@planning
def call(
    name: str,
    func: str,
    args: list[Any] | None = None,
    kws: dict[str, Any] | None = None,
    stateful: bool = False,
    output_loglevel: str = "quiet",
    hide_output: bool = False,
    use_vt: bool = False,
) -> Plan:
    """Call an execution function from a state, as `module.run` does; output options are accepted and not needed.

    SLS example:

        sync:
          cmd.call:
            - func: saltutil.sync_all
    """
    return opaque(
        f"Function {func} would be called", lambda: {"ret": current().functions[func](*(args or ()), **(kws or {}))}
    )


@planning
@takes_options
def mod_watch(
    name: str,
    sfun: str | None = None,
    source: str | None = None,
    template: str | None = None,
    args: str | None = None,
    context: dict[str, Any] | None = None,
    defaults: dict[str, Any] | None = None,
    bg: bool = False,
    **options: Any,
) -> Plan:
    """Run the command or script of a state, since something that it watches has changed."""
    if sfun in ("script", "wait_script"):
        return script(name, source, template, args, context, defaults, **options)
    if sfun in ("run", "wait", "watch", None):
        return run(name, bg, **options)
    return refuse(f"cmd.{sfun} does not work with the watch requisite")


def _plan(name: str, options: Options, what: str, execute: Any) -> Plan:
    """Plan one command: opaque, unless it is stateful and has a command that answers for it in a dry run."""
    outcome: dict[str, Any] = {}

    def step() -> Changes:
        outcome.update(execute())
        report = read_report(str(outcome.get("stdout", ""))) if options.stateful else None
        if report is None:
            return outcome
        outcome["report"] = report
        shown = {key: value for key, value in outcome.items() if key != "report"}
        return {**shown, **report.facts} if report.changed else {}

    def conclude(_changes: dict[str, Any]) -> tuple[bool, str]:
        report: Report | None = outcome.get("report")
        done = _is_success(outcome, options)
        if options.stateful and report is None:
            return False, f"{what} is stateful, and its last line does not say whether it changed something"
        return done, (report.comment if report else "") or f"{what} run"

    asked = _ask(options)
    if asked is not None:
        if not asked.changed:
            return same(asked.comment or f"{what} would change nothing")
        return opaque(asked.comment or f"{what} would have been executed", step, conclude)
    return opaque(f"{what} would have been executed", step, conclude)


def _is_success(outcome: Mapping[str, Any], options: Options) -> bool:
    timed_out = options.ignore_timeout and "Timed out after" in str(outcome.get("stdout"))
    return outcome.get("retcode") == 0 or timed_out


def _ask(options: Options) -> Report | None:
    """In a dry run, let a stateful command's `test_name` say what it would do."""
    listed = options.stateful if isinstance(options.stateful, list) else [options.stateful]
    names = [item["test_name"] for item in listed if isinstance(item, Mapping) and "test_name" in item]
    if not names or not current().test:
        return None
    return read_report(str(_run(str(names[0]), options)["stdout"]))


def _run(name: str, options: Options) -> Mapping[str, Any]:
    given = {**options.for_call(), "python_shell": True}
    if options.root:
        done: Mapping[str, Any] = current().call("cmd.run_chroot", options.root, name, **given)
    else:
        done = current().call("cmd.run_all", name, **given)
    return done


def _start(name: str, options: Options) -> Changes:
    done: Changes = current().call("cmd.run_all", name, bg=True, python_shell=True, **options.for_call())
    return done


def _script(recipe: Recipe, args: str | None, options: Options) -> Mapping[str, Any]:
    if recipe.template is None:
        return _run_script(str(recipe.source), args, options)
    content = recipe.content("script", {})
    with tempfile.NamedTemporaryFile(prefix="ctl-script-") as file:
        file.writelines(content.chunks() if content else ())
        file.flush()
        return _run_script(file.name, args, options)


def _run_script(source: str, args: str | None, options: Options) -> Mapping[str, Any]:
    done: Mapping[str, Any] = current().call("cmd.script", source, args, **options.for_call())
    return done
