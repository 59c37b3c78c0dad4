"""Helpers for SLS files: render, merge, serialise, look for files of the tree."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Mapping
from typing import Any

from ..common import files, render_yaml
from ..common.context import current
from ..common.data import merge as merge_data
from ..common.errors import CommandExecutionError, FileServerError, nearest
from ..common.merging import merged
from ..common.render import DEFAULT_PIPE
from ._rendering import job_renderer

__func_alias__ = {"merge_": "merge"}

BANNER_WIDTH = 72


def renderer(
    path: str | None = None,
    string: str | None = None,
    default_renderer: str = DEFAULT_PIPE,
    saltenv: str | None = None,
    **context: Any,
) -> Any:
    """Render a file (`salt://…` or an absolute path) or a text, and return the data or text that comes out.

    default_renderer
        The engines, unless the first line names others.

    Further `key=value` arguments are variables of the template.

    CLI example: `ctl '*' slsutil.renderer salt://path/to/file.sls`
    """
    if (path is None) == (string is None):
        raise CommandExecutionError("give either path or string")
    where, env, text = _text(path, string, saltenv or current().saltenv)
    names = {key: value for key, value in context.items() if not key.startswith("__")}
    return job_renderer().source(text, path=where, saltenv=env, names=names, default=default_renderer).data


def _text(path: str | None, string: str | None, saltenv: str) -> tuple[str, str, str]:
    if path is None:
        return "text", saltenv, string or ""
    if path.startswith("/"):
        with open(path, encoding="utf-8") as file:
            return path, saltenv, file.read()
    relative, named = files.split_url(path)
    env = named or saltenv
    return relative, env, current().files.fetch(relative, env).read_text()


def merge_(
    obj_a: dict[Any, Any],
    obj_b: dict[Any, Any],
    strategy: str = "smart",
    renderer: str = "yaml",
    merge_lists: bool = False,
) -> dict[Any, Any]:
    """Return `obj_a` with `obj_b` merged over it by a strategy: smart, recurse, aggregate, overwrite, list.

    CLI example: `ctl '*' slsutil.merge '{foo: Foo}' '{bar: Bar}'`
    """
    return merged(obj_a, obj_b, strategy, merge_lists)


def merge_all(
    lst: list[Any], strategy: str = "smart", renderer: str = "yaml", merge_lists: bool = False
) -> dict[Any, Any]:
    """Return the mappings of a list merged, later ones over earlier ones.

    CLI example: `ctl '*' slsutil.merge_all '[{foo: Foo}, {foo: Bar}]'`
    """
    result: dict[Any, Any] = {}
    for one in lst:
        result = merged(result, one, strategy, merge_lists)
    return result


def update(
    dest: dict[Any, Any], upd: dict[Any, Any], recursive_update: bool = True, merge_lists: bool = False
) -> dict[Any, Any]:
    """Merge `upd` over `dest` and return it; `dest` is changed.

    CLI example: `ctl '*' slsutil.update '{foo: Foo}' '{bar: Bar}'`
    """
    result = merge_data(dest, upd, merge_lists) if recursive_update else {**dest, **upd}
    dest.clear()
    dest.update(result)
    return dest


def serialize(serializer: str, obj: Any, **mod_kwargs: Any) -> str:
    """Write data as text: json, yaml, python, toml, configparser, plist.

    CLI example: `ctl '*' slsutil.serialize json '{foo: Foo!}'`
    """
    options = {key: value for key, value in mod_kwargs.items() if not key.startswith("__")}
    return str(_chosen(_SERIALIZERS, serializer)(obj, **options))


def deserialize(serializer: str, stream_or_string: str, **mod_kwargs: Any) -> Any:
    """Read data from text: json, yaml, python, toml, configparser, plist.

    CLI example: `ctl '*' slsutil.deserialize json '{"foo": "Foo!"}'`
    """
    return _chosen(_DESERIALIZERS, serializer)(stream_or_string)


def _chosen(table: Mapping[str, Callable[..., Any]], name: str) -> Callable[..., Any]:
    found = table.get(name)
    if found is None:
        near = nearest(name, table)
        known = ", ".join(sorted(table))
        raise CommandExecutionError(
            f"there is no serializer {name!r}", hint=f"did you mean {near!r}?" if near else f"known: {known}"
        )
    return found


def _to_json(obj: Any, **options: Any) -> str:
    return json.dumps(obj, **{"default": str, **options})


def _to_yaml(obj: Any, **options: Any) -> str:
    return render_yaml.dump(obj, flow=options.pop("default_flow_style", False), **options)


def _to_python(obj: Any, **options: Any) -> str:
    import pprint

    return pprint.pformat(obj, **options)


def _from_python(text: str) -> Any:
    import ast

    return ast.literal_eval(text)


def _from_toml(text: str) -> Any:
    import tomllib

    return tomllib.loads(text)


def _to_toml(obj: Any, **_options: Any) -> str:
    from ._toml import dump_toml

    return dump_toml(obj)


def _to_ini(obj: Any, **options: Any) -> str:
    import configparser
    import io

    parser = configparser.ConfigParser(interpolation=None, **options)
    parser.read_dict(obj)
    stream = io.StringIO()
    parser.write(stream)
    return stream.getvalue()


def _from_ini(text: str) -> Any:
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return {section: dict(parser.items(section)) for section in parser.sections()}


def _to_plist(obj: Any, **options: Any) -> str:
    import plistlib

    return plistlib.dumps(obj, **options).decode()


def _from_plist(text: str) -> Any:
    import plistlib

    return plistlib.loads(text.encode())


_SERIALIZERS: dict[str, Callable[..., str]] = {
    "configparser": _to_ini,
    "json": _to_json,
    "plist": _to_plist,
    "python": _to_python,
    "toml": _to_toml,
    "yaml": _to_yaml,
}
_DESERIALIZERS: dict[str, Callable[[str], Any]] = {
    "configparser": _from_ini,
    "json": json.loads,
    "plist": _from_plist,
    "python": _from_python,
    "toml": _from_toml,
    "yaml": render_yaml.load,
}


def boolstr(value: Any, true: str = "true", false: str = "false") -> str:
    """Return one of two words by whether a value is true (`yes`, `on` and `1` are, as text).

    CLI example: `ctl '*' slsutil.boolstr 1 yes no`
    """
    if isinstance(value, str):
        return true if value.strip().lower() in ("true", "yes", "on", "1") else false
    return true if value else false


def banner(
    width: int = BANNER_WIDTH,
    commentchar: str = "#",
    borderchar: str = "#",
    blockstart: str | None = None,
    blockend: str | None = None,
    title: str | None = None,
    text: str | None = None,
    newline: bool = False,
) -> str:
    """Return a comment block for the head of a managed file.

    CLI example: `ctl '*' slsutil.banner`
    """
    import textwrap

    title = "THIS FILE IS MANAGED - DO NOT EDIT" if title is None else title
    text = "Changes made by hand are overwritten at the next run." if text is None else text
    border = commentchar + borderchar * max(width - len(commentchar), 0)
    inner = max(width - 2 * len(commentchar) - 2, 10)
    lines = [title.center(inner), "", *textwrap.wrap(text, inner)] if text else [title.center(inner)]
    body = [f"{commentchar} {line.ljust(inner)} {commentchar}" for line in lines]
    block = [blockstart, border, *body, border, blockend]
    return "\n".join(line for line in block if line is not None) + ("\n" if newline else "")


def file_exists(path: str, saltenv: str | None = None) -> bool:
    """Say whether the state tree has a file.

    CLI example: `ctl '*' slsutil.file_exists path/to/file`
    """
    relative, env = _tree_path(path, saltenv)
    try:
        return current().files.find([relative], env)[relative] is not None
    except FileServerError:
        return False


def dir_exists(path: str, saltenv: str | None = None) -> bool:
    """Say whether the state tree has a directory.

    CLI example: `ctl '*' slsutil.dir_exists path/to/dir`
    """
    relative, env = _tree_path(path, saltenv)
    try:
        return relative.strip("/") in current().files.list_dirs(env)
    except FileServerError:
        return False


def path_exists(path: str, saltenv: str | None = None) -> bool:
    """Say whether the state tree has a file or directory.

    CLI example: `ctl '*' slsutil.path_exists path/to/something`
    """
    return file_exists(path, saltenv) or dir_exists(path, saltenv)


def findup(startpath: str, filenames: str | list[str], saltenv: str | None = None) -> str:
    """Return the first of some files in a directory of the state tree, or in the nearest directory above it.

    CLI example: `ctl '*' slsutil.findup formulas/shared/nginx map.jinja`
    """
    names = [filenames] if isinstance(filenames, str) else filenames
    directory, env = _tree_path(startpath, saltenv)
    if directory and not dir_exists(directory, env):
        directory = posixpath.dirname(directory)
    while True:
        candidates = [posixpath.join(directory, name) for name in names]
        found = current().files.find(candidates, env)
        chosen = next((path for path in candidates if found.get(path) is not None), None)
        if chosen is not None:
            return chosen
        if not directory:
            raise CommandExecutionError(f"none of {', '.join(names)} is in {startpath!r} or above it")
        directory = posixpath.dirname(directory)


def _tree_path(path: str, saltenv: str | None) -> tuple[str, str]:
    relative, named = files.split_url(path)
    return relative.rstrip("/"), named or saltenv or current().saltenv
