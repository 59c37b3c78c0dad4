"""One state run from names to returns: top file, render, compile, pre-flight, run. Ties the steps together.

Everything a step decides is in its own module; this one only passes data along, for one minion and one context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import collector
from ..context import Context
from ..errors import CompileError
from ..loader_names import Proxy
from ..matchers import DictMinion
from ..render import Renderer
from . import preflight, shapes
from .compiler import compile_chunks, compile_high
from .high import Assembler, High
from .low import Chunk, Marks
from .problems import shown
from .requisites import Node, Program
from .runtime import Runtime
from .status import base
from .top import Top
from .tree import Tree

NO_STATES = "no_|-states_|-states_|-None"
Matches = dict[str, list[str]]
Results = dict[str, dict[str, Any]]


@dataclass(slots=True)
class Compiled:
    """What there is to run, and every problem that stands in the way."""

    program: Program = field(default_factory=Program)
    problems: list[str] = field(default_factory=list)


class StateRun:
    """Renders, compiles and runs states on the minion of `context`. Serves one run."""

    def __init__(self, context: Context, *, saltenv: str | None = None, top_file: str = "") -> None:
        self.context = context
        self.config: dict[str, Any] = {**context.config, "test": context.test, "id": context.id}
        if top_file:
            self.config["state_top"] = top_file
        self.saltenv = saltenv or context.config.get("saltenv") or None
        self.tree = Tree(context.files, self.config)
        self.renderer = Renderer(
            context.files,
            config=self.config,
            grains=context.grains,
            pillar=context.pillar,
            functions=Proxy(lambda: context.functions),  # others, once plugins have been synced
            engines=Proxy(lambda: context.renderers),
        )

    def matches(self) -> Matches:
        """Match the top files. Raises `CompileError` where they are wrong."""
        top = Top(self.context.files, self.renderer, self.config, saltenv=self.saltenv)
        minion = DictMinion(self.context.id, self.context.grains, self.context.pillar)
        return top.matches(minion)

    def high(self, matches: Matches, exclude: Sequence[Any] = ()) -> High:
        """Render the SLS of `matches` to high data."""
        high = Assembler(self.tree, self.renderer).add(matches)
        if exclude:
            high.data.setdefault("__exclude__", []).extend(exclude)
        return high

    def text(self, text: str, path: str = "template") -> High:
        """Render SLS text to high data."""
        return Assembler(self.tree, self.renderer).add_text(text, path=path, saltenv=self.saltenv or "base")

    def check(self, high: High) -> list[str]:
        """Return what is wrong with high data before it is compiled."""
        misshapen = shapes.check(high.data, high.marks)
        problems = [*high.problems, *(problem for found in misshapen.values() for problem in found)]
        return shown(problems, self.context.files)

    def compile(self, high: High) -> Compiled:
        """Compile high data; every problem found is in the result."""
        with collector.paused():
            program, problems = self._compile(high)
            problems += self.preflight(program.chunks, high.marks)
            if problems:
                problems += preflight.unknown(program.chunks, self.context.states)
        return Compiled(program, shown(problems, self.context.files))

    def lows(self, high: High) -> list[dict[str, Any]]:
        """Compile to low data, without pre-flight. Raises `CompileError`."""
        program, problems = self._compile(high)
        if problems:
            raise CompileError(shown(problems, self.context.files))
        return [_with_source(node.chunk) for node in program.nodes]

    def _compile(self, high: High) -> tuple[Program, list[str]]:
        program, problems = compile_high(
            high.data,
            marks=high.marks,
            sls=high.sls,
            has_watch=self._has_watch,
            disabled=self._disabled(),
        )
        return program, [*high.problems, *problems]

    def compile_lows(self, lows: Sequence[Mapping[str, Any]]) -> Compiled:
        """Compile low chunks that came from elsewhere."""
        chunks = [Chunk(dict(low)) for low in lows]
        program, problems = compile_chunks(chunks, has_watch=self._has_watch, disabled=self._disabled())
        return Compiled(program, [*problems, *self.preflight(chunks, Marks())])

    def preflight(self, chunks: Sequence[Chunk], marks: Marks) -> list[str]:
        """Check functions and arguments of every chunk."""
        mode = str(self.config.get("unknown_arguments") or "error")
        return preflight.check(
            chunks, self.context.states, marks, unknown_arguments=mode, functions=self.context.functions
        )

    def execute(self, program: Program) -> Results:
        """Run a program."""
        return Runtime(self.context, program, failhard=bool(self.config.get("failhard"))).run()

    def select(self, program: Program, id_: str) -> Program:
        """Keep only the states of one ID, and what they require."""
        wanted: dict[Node, None] = {}
        pending = [node for node in program.nodes if node.chunk.id == id_]
        while pending:
            node = pending.pop()
            if node not in wanted:
                wanted[node] = None
                pending += [before for _kind, before in node.before]
        return Program([node for node in program.nodes if node in wanted])

    def _has_watch(self, state: str) -> bool:
        return f"{state}.mod_watch" in self.context.states

    def _disabled(self) -> list[str]:
        disabled = self.config.get("disabled_requisites") or []
        return [disabled] if isinstance(disabled, str) else list(disabled)


def _with_source(chunk: Chunk) -> dict[str, Any]:
    """Return a chunk's low data with the line it was declared in."""
    return {**chunk.low, "__source__": str(chunk.place)} if chunk.place else dict(chunk.low)


def has_failed(results: Mapping[str, Any], program: Program | None = None) -> bool:
    """Tell whether a run failed: it was empty, or a state failed for which no `onfail` state made up."""
    if not results:
        return True
    handled = _handlers(program) if program else {}
    for tag, ret in results.items():
        if ret.get("result") is False:
            handlers = [results[other]["result"] for other in handled.get(tag, ()) if other in results]
            if not handlers or not all(handlers):
                return True
    return False


def _handlers(program: Program) -> dict[str, list[str]]:
    handlers: dict[str, list[str]] = {}
    for node in program.nodes:
        for kind, before in node.before:
            if base(kind) == "onfail":
                handlers.setdefault(before.tag, []).append(node.tag)
    return handlers


def nothing(comment: str) -> Results:
    """Return what a run gives that has nothing to do."""
    ret = {"name": "No States", "result": False, "comment": comment, "changes": {}, "__run_num__": 0}
    return {NO_STATES: ret}
