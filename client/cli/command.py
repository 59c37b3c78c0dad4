"""From the words of a `ctl` command line to the job that they ask for."""

from __future__ import annotations

from typing import Any

from .. import job
from ..batch import Size
from ..settings import Settings
from .options import Options, UsageError, split_names

DOCUMENTATION = "sys.doc"


class Command(Options):
    """The options of `ctl`."""

    tgt_type: str = "glob"
    delimiter: str = job.DELIMITER
    preview_target: bool = False
    asynchronous: bool = False
    subset: int = 0
    private: bool = False
    secret_arg: str = ""
    returners: str = ""
    metadata: str = ""
    job_timeout: float = 0.0
    doc: bool = False
    start_event: bool = False
    config_dump: bool = False
    timeout: float | None = None
    max_time: float = 0.0
    wait: bool = False
    no_queue: bool = False
    static: bool = False
    verbose: bool = False
    show_jid: bool = False
    hide_timeout: bool = False
    summary: bool = False
    progress: bool = False
    batch: Size | None = None
    batch_wait: float = 0.0
    failhard: bool = False
    batch_safe_limit: int = 0
    batch_safe_size: Size = Size(8)
    args_stdin: bool = False
    args_separator: str = ","
    no_parse: str = ""


def read_request(options: Command, settings: Settings) -> job.Request:
    """Turn options and words into a request; raises `UsageError` where something is missing or does not go together."""
    _check(options)
    target, *rest = options.words
    if options.doc:
        names = [name for word in rest for name in split_names(word)]
        return _request(options, settings, target, DOCUMENTATION, names, {})
    if options.preview_target:
        return _request(options, settings, target, "", [], {})
    return _request(options, settings, target, *read_function(options, rest[0], rest[1:]))


def read_function(options: Command, name: str, words: list[str]) -> tuple[str | list[str], list[Any], dict[str, Any]]:
    """Read a function and its arguments; `a,b` are two functions whose arguments a separator divides."""
    literal = split_names(options.no_parse)
    if "," not in name:
        return (name, *parse_words(words, literal, name))
    functions = split_names(name)
    groups = _groups(words, options.args_separator)
    if len(groups) > len(functions):
        raise UsageError(
            f"arguments for {len(groups)} functions were given, and there are {len(functions)}",
            hint="--args-separator chooses another word between them",
        )
    groups += [[] for _ in range(len(functions) - len(groups))]
    pairs = zip(functions, groups, strict=True)
    return functions, [_marked(*parse_words(group, literal, fun)) for fun, group in pairs], {}


def parse_words(words: list[str], literal: list[str], fun: str = "") -> tuple[list[Any], dict[str, Any]]:
    """Read words as positional and keyword arguments of `fun`, with values as YAML reads them."""
    if not words:
        return [], {}
    from ...common.arguments import parse_cli  # most commands have no arguments

    return parse_cli(words, literal, fun)


def _check(options: Command) -> None:
    least = 1 if options.doc or options.preview_target else 2
    if not options.words:
        raise UsageError("a target and a function are needed", hint="for example: ctl '*' test.ping")
    if len(options.words) < least:
        raise UsageError(
            f"a function is needed after the target {options.words[0]!r}", hint="for example: ctl '*' test.ping"
        )
    if options.asynchronous and options.batch:
        raise UsageError("--async and --batch do not go together: a batch is led by the program that started it")
    if options.subset and options.batch:
        raise UsageError("--subset and --batch do not go together")
    if options.failhard and not (options.batch or options.batch_safe_limit):
        raise UsageError("--failhard is for batches; use it with -b")
    if options.wait and options.no_queue:
        raise UsageError("--wait and --no-queue do not go together")


def _request(
    options: Command,
    settings: Settings,
    target: str,
    fun: str | list[str],
    args: list[Any],
    kwargs: dict[str, Any],
) -> job.Request:
    return job.Request(
        target,
        fun,
        args,
        kwargs,
        tgt_type=options.tgt_type,
        delimiter=options.delimiter,
        timeout=settings.timeout if options.timeout is None else options.timeout,
        job_timeout=options.job_timeout,
        window=0.0 if options.no_queue else settings.delivery_window,
        wait=options.wait,
        max_time=options.max_time,
        progress=options.progress,
        metadata=parse_words([options.metadata], [])[0][0] if options.metadata else None,
        subset=options.subset,
        private=options.private,
        secret=split_names(options.secret_arg),
        returners=split_names(options.returners),
    )


def _groups(words: list[str], separator: str) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for word in words:
        if word == separator:
            groups.append([])
        else:
            groups[-1].append(word)
    return groups


def _marked(args: list[Any], kwargs: dict[str, Any]) -> list[Any]:
    """Put keywords among the arguments of one of several functions, marked as Salt marks them."""
    return [*args, {job.KEYWORD_MARK: True, **kwargs}] if kwargs else args
