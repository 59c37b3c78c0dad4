"""The renderer `mako`: templates of the Python package Mako, which may take others from the tree.

`<%include file="…"/>` and `<%namespace file="…"/>` take a `salt://` URL, a path from the root of the tree
(`/lib/a.mako`), or one relative to the template that asks.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from . import render_yaml
from .context import FileSource
from .errors import CtlError, FileServerError, RenderError
from .files import is_tree_url, split_url


def render(text: str, *, path: str, saltenv: str, names: Mapping[str, Any], files: FileSource) -> str:
    """Render `text`, the file `path` of the tree; a name that is not there is an error."""
    try:
        from mako import exceptions  # type: ignore[import-not-found, import-untyped, unused-ignore]
        from mako.lookup import TemplateCollection  # type: ignore[import-not-found, import-untyped, unused-ignore]
        from mako.template import Template  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        hint = "pip install 'ctl[mako]'"
        raise RenderError("the renderer mako needs the Python package Mako", path=path, line=1, hint=hint) from None

    def make(text: str, path: str, lookup: Any) -> Any:
        return Template(text, uri=path, filename=path, lookup=lookup, strict_undefined=True)  # noqa: S702 (no web page)

    class Lookup(TemplateCollection):  # type: ignore[misc, unused-ignore]
        """Finds the templates that a template names."""

        def __init__(self) -> None:
            self.known: dict[str, Any] = {}

        def adjust_uri(self, uri: str, filename: str | None) -> str:
            return _tree_path(uri, filename or path)

        def get_template(self, uri: str, relativeto: str | None = None) -> Any:
            if uri not in self.known:
                self.known[uri] = make(_read(files, uri, saltenv), uri, self)
            return self.known[uri]

    try:
        return str(make(text, path, Lookup()).render(**names))
    except Exception as error:  # the boundary around a template, which is a program
        raise _explain(error, text, path, exceptions) from error


def _tree_path(uri: str, asking: str) -> str:
    if is_tree_url(uri):
        return split_url(uri)[0]
    if "://" in uri:
        raise RenderError(f"{uri!r} is no place in the tree", path=asking)
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(asking), uri)).lstrip("/")


def _read(files: FileSource, path: str, saltenv: str) -> str:
    try:
        return files.fetch(path, saltenv).read_text()
    except FileServerError as error:
        raise RenderError(f"the template {path!r} was not found", hint=error.hint) from None


def _explain(error: Exception, text: str, path: str, exceptions: Any) -> RenderError:
    message = error.message if isinstance(error, CtlError) else f"{type(error).__name__}: {error}"
    if isinstance(error, exceptions.SyntaxException | exceptions.CompileException):
        message = str(error).partition(" in file ")[0]
        where, line = str(error.filename or path), error.lineno
    else:
        places = [(str(record[4]), record[5]) for record in exceptions.RichTraceback(error=error).records if record[4]]
        where, line = places[-1] if places else (path, None)
    shown = render_yaml.excerpt(text, line) if line and where == path else ""
    hint = error.hint if isinstance(error, CtlError) else ""
    return RenderError(message, path=where, line=line or None, excerpt=shown, hint=hint)
