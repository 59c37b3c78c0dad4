"""Compiled templates, kept for all that one process renders: the same file for another minion is not compiled again.

What is kept follows from the template's text, its name and the options of its environment alone, so it can never be
stale: the text is read anew each time. Nothing is evaluated while a template is compiled (see `Generator`), so no value
of one minion can be in what another one runs.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from types import CodeType
from typing import Any

from jinja2 import Environment, nodes
from jinja2.compiler import CodeGenerator, Frame

MAX_KEPT_CHARS = 16 * 1024 * 1024


class Generator(CodeGenerator):
    """Writes each piece of output on a line of its own, marked with the template's line, and evaluates nothing."""

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:
        if frame.buffer is not None:
            super().visit_Output(node, frame)
            return
        for child in node.nodes:
            self.newline(child)
            super().visit_Output(nodes.Output([child], lineno=child.lineno), frame)

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        # Jinja would call filters with constant arguments here, once and for all: a random number would not be one
        if not isinstance(node, nodes.TemplateData | nodes.Const):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)


@dataclass(frozen=True, slots=True)
class Code:
    """A template's code, and which of its lines write text that stands in the template."""

    code: CodeType
    literal: frozenset[int]


class _Codes:
    """What was compiled lately, up to so many characters of templates."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, tuple[int, Code]] = OrderedDict()
        self._chars = 0
        self._lock = threading.Lock()  # states may run in threads of one job

    def get(self, key: Hashable) -> Code | None:
        with self._lock:
            found = self._known.get(key)
            if found is None:
                return None
            self._known.move_to_end(key)
            return found[1]

    def put(self, key: Hashable, chars: int, code: Code) -> None:
        with self._lock:
            if key not in self._known:
                self._known[key] = (chars, code)
                self._chars += chars
            while self._chars > MAX_KEPT_CHARS:
                _old, (less, _code) = self._known.popitem(last=False)
                self._chars -= less


_codes = _Codes()


def code_of(environment: Environment, options: Hashable, text: str, name: str, filename: str) -> Code:
    """Compile a template, or return what was compiled before; `options` are all that environments differ in."""
    key = (options, name, filename, text)
    known = _codes.get(key)
    if known is None:
        python = environment.compile(text, name, filename, raw=True)
        literal = frozenset(
            number
            for number, line in enumerate(python.split("\n"), 1)
            if line.lstrip().startswith(("yield '", 'yield "'))
        )
        known = Code(compile(python, filename, "exec"), literal)
        _codes.put(key, len(text), known)
    return known
