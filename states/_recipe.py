"""How the content of a managed file is made: from a source or from what the state spells out, perhaps by a template."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..common import data
from ..common.context import current
from ..common.errors import CommandExecutionError
from ._content import (
    Content,
    Source,
    Trust,
    choose_source,
    content_of_bytes,
    content_of_path,
    content_of_source,
    fetched,
)
from ._template import render_text, template_context


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a state says of a file's content; the names are those of `file.managed`."""

    source: Any = None
    source_hash: Any = ""
    trust: Trust = field(default_factory=Trust)
    signature: str | bool | None = None
    contents: Any = None
    contents_pillar: Any = None
    contents_grains: Any = None
    contents_newline: bool = True
    contents_delimiter: str = ":"
    allow_empty: bool = True
    template: str | None = None
    context: Any = None
    defaults: Any = None
    encoding: str | None = None
    encoding_errors: str = "strict"

    def content(self, target: str, facts: Mapping[str, Any]) -> Content | None:
        """Make the content for the file at `target`; None where the state says nothing of it.

        `facts` (user, group, mode) are among the variables of a template.
        """
        self._check_origins()
        source = self._source()
        if source is None:
            made = self._spelled_out()
        else:
            made = content_of_source(source, target, self.trust)
            if self.signature:
                self._check_signature(made, source, target)
        if made is None or not (self.template or (source and self.encoding)):
            return made
        return content_of_bytes(self._rendered(made, source, facts), made.mode)

    def _check_signature(self, made: Content, source: Source, target: str) -> None:
        """Check the source's signature; not where the target has this very content already."""
        assert made.fetch is not None
        if not self.template and os.path.isfile(target) and content_of_path(target).digest == made.digest:
            return
        detached = None if self.signature is True else fetched(str(self.signature))
        self.trust.signers.check(made.fetch(), detached, source.url)

    def _source(self) -> Source | None:
        if isinstance(self.source, Source):
            return self.source
        return choose_source(self.source, self.source_hash) if self.source else None

    def _check_origins(self) -> None:
        names = ("source", "contents", "contents_pillar", "contents_grains")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise CommandExecutionError(f"only one of {' and '.join(given)} can say what is in the file")

    def _spelled_out(self) -> Content | None:
        text = self._text()
        if text is None:
            return None
        if not text and not self.allow_empty:
            raise CommandExecutionError("the contents are empty (allow_empty: True would permit that)")
        return content_of_bytes(text if isinstance(text, bytes) else self._encode(text))

    def _text(self) -> str | bytes | None:
        contents = self.contents
        if self.contents_pillar is not None:
            contents = _look_up(current().pillar, self.contents_pillar, "pillar", self.contents_delimiter)
        elif self.contents_grains is not None:
            contents = _look_up(current().grains, self.contents_grains, "grain", self.contents_delimiter)
        if contents is None or isinstance(contents, bytes):
            return contents
        if isinstance(contents, Mapping):
            raise CommandExecutionError("contents must be a text or a list of lines, not a mapping")
        if isinstance(contents, list | tuple):
            text = "\n".join(str(line).rstrip("\r\n") for line in contents)
        else:
            text = str(contents)
        return text + "\n" if self.contents_newline and text and not text.endswith("\n") else text

    def _rendered(self, made: Content, source: Source | None, facts: Mapping[str, Any]) -> bytes:
        try:
            # What we spelled out ourselves is in the wanted encoding already.
            text = made.read().decode("utf-8" if source else self.encoding or "utf-8")
        except UnicodeDecodeError as error:
            where = source.url if source else "the contents"
            raise CommandExecutionError(f"{where}: not UTF-8 text: {error.reason} at byte {error.start}") from None
        if self.template:
            text = render_text(
                text,
                engine=self.template,
                path=source.path if source else "contents",
                saltenv=(source.saltenv if source else "") or current().saltenv,
                context=template_context(self.defaults, self.context, source=source.url if source else None, **facts),
            )
        return self._encode(text)

    def _encode(self, text: str) -> bytes:
        try:
            return text.encode(self.encoding or "utf-8", self.encoding_errors)
        except (UnicodeEncodeError, LookupError) as error:
            raise CommandExecutionError(f"the content cannot be encoded: {error}") from None


def _look_up(mapping: Mapping[str, Any], keys: Any, kind: str, delimiter: str) -> Any:
    values = []
    for key in keys if isinstance(keys, list) else [keys]:
        value = data.lookup(mapping, str(key), data.MISSING, delimiter)
        if value is data.MISSING:
            raise CommandExecutionError(f"there is no {kind} {key!r}")
        values.append(value)
    return values if isinstance(keys, list) else values[0]
