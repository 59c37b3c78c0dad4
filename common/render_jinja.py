"""Templates in Jinja: the sandboxed environment with Salt's tags and names, the loader, and errors that say where.

Templates come from a `FileSource` and are compiled once per `JinjaTemplates`, which serves one run. Each rendered
line is traced back to the line of the template that wrote it.
"""

from __future__ import annotations

import bisect
import itertools
import json
import posixpath
import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, MutableMapping
from typing import Any

from jinja2 import (
    BaseLoader,
    Environment,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateNotFound,
    TemplateRuntimeError,
    TemplateSyntaxError,
    Undefined,
    UndefinedError,
    defaults,
    nodes,
    pass_context,
)
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

from . import render_yaml
from .context import FileSource
from .errors import CtlError, FileServerError, RenderError, nearest
from .render_code import Generator, code_of
from .render_files import OF_THE_MACHINE
from .render_filters import FILTERS, TESTS, load_json, yaml_dquote

# Template files carry this mark in tracebacks, so their frames are told from Python's.
_MARK = "<template>:"
_HEADER = re.compile(r"\A(#!(?!/)[^\n]*\n)?#jinja2:([^\n]*)\n")


class TemplateFunctions:
    """Execution functions as templates call them: `salt['pkg.version']('x')` and `salt.pkg.version('x')`.

    `cmd.run` runs in a shell here, as it always did in templates.
    """

    def __init__(self, functions: Mapping[str, Callable[..., Any]], prefix: str = "") -> None:
        self._functions = functions
        self._prefix = prefix

    def __getitem__(self, name: str) -> Callable[..., Any]:
        name = f"{self._prefix}{name}"
        if name == "cmd.run" and "cmd.shell" in self._functions:
            name = "cmd.shell"
        return self._functions[name]

    def __contains__(self, name: object) -> bool:
        return f"{self._prefix}{name}" in self._functions

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 (this is what get is made of)

    def keys(self) -> list[str]:
        return list(self._functions)

    def __getattr__(self, name: str) -> Any:
        # Jinja asks for attributes where an item is missing, and whether a call is safe.
        if name.startswith("__") or "." in name or name in ("unsafe_callable", "alters_data"):
            raise AttributeError(name)
        return self[name] if self._prefix else TemplateFunctions(self._functions, f"{name}.")


class _SerializerTags(Extension):
    """`import_yaml "file" as name`, `load_yaml as name` … `endload` (also json, text), `profile` … `endprofile`."""

    tags = {"import_yaml", "import_json", "import_text", "load_yaml", "load_json", "load_text", "profile"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        tag = next(parser.stream)
        action, _, kind = tag.value.partition("_")
        if action == "profile":
            return self._profile(parser, tag.lineno)
        if action == "import":
            return self._import(parser, kind, tag.lineno)
        parser.stream.expect("name:as")
        target = parser.parse_assign_target()
        body = parser.parse_statements(("name:endload",), drop_needle=True)
        convert = nodes.Filter(None, f"load_{kind}", [], [], None, None, lineno=tag.lineno)
        return nodes.AssignBlock(target, convert, body, lineno=tag.lineno)

    def _profile(self, parser: Parser, line: int) -> list[nodes.Node]:
        if parser.stream.skip_if("name:as"):
            parser.parse_expression()
        return list(parser.parse_statements(("name:endprofile",), drop_needle=True))

    def _import(self, parser: Parser, kind: str, line: int) -> list[nodes.Node]:
        source = parser.parse_expression()
        parser.stream.expect("name:as")
        target = parser.parse_assign_target()
        with_context = False
        if parser.stream.current.test_any("name:with", "name:without") and parser.stream.look().test("name:context"):
            with_context = next(parser.stream).value == "with"
            parser.stream.skip()
        module = f"_{parser.free_identifier().name}"
        loaded = self.call_method("_load", [nodes.Const(kind), nodes.Name(module, "load")], lineno=line)
        return [
            nodes.Import(source, module, with_context, lineno=line),
            nodes.Assign(target, loaded, lineno=line),
        ]

    def _load(self, kind: str, module: Any) -> Any:
        text = str(module)
        if kind == "text":
            return text
        if kind == "yaml":
            return render_yaml.load(text, path=module.__name__)
        try:
            return load_json(text)
        except TemplateRuntimeError as error:
            raise RenderError(str(error), path=module.__name__) from None


class _Environment(SandboxedEnvironment):
    code_generator_class = Generator
    options: Hashable = ()  # all that environments differ in, as far as compiling goes

    def join_path(self, template: str, parent: str) -> str:
        """Resolve a relative import against the importing file, else against the file that is being rendered."""
        if template.split("/", 1)[0] not in (".", ".."):
            return template
        loader: Any = self.loader
        bases = dict.fromkeys(posixpath.dirname(name) for name in (parent, loader.rendering) if name)
        found = [posixpath.normpath(posixpath.join(base, template)) for base in bases]
        known = (name for name in found if not name.startswith("..") and loader.exists(name))
        return next(known, found[0] if found else template)

    def _load_template(self, name: str, globals: Any) -> Template:
        template = super()._load_template(name, globals)
        folder = posixpath.dirname(name)
        template.globals.update(tplfile=name, tpldir=folder or ".", tpldot=folder.replace("/", "."))
        return template


class _Loader(BaseLoader):
    """Serves templates of one environment of a file tree; `rendering` names the file that a run is rendering."""

    def __init__(self, files: FileSource, saltenv: str, sources: dict[str, str]) -> None:
        self.files = files
        self.saltenv = saltenv
        self.sources = sources
        self.rendering = ""
        self._known: dict[str, bool] = {}

    def exists(self, name: str) -> bool:
        if name not in self._known:
            try:
                self._known[name] = self.files.find([name], self.saltenv)[name] is not None
            except FileServerError:
                self._known[name] = False
        return self._known[name]

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, None]:
        try:
            text = self.files.fetch(template.removeprefix("salt://"), self.saltenv).read_text()
        except (FileServerError, FileNotFoundError):
            raise TemplateNotFound(template) from None
        except UnicodeDecodeError:
            raise RenderError("this template is not UTF-8 text", path=template) from None
        filename = f"{_MARK}{template}"
        self.sources[filename] = text
        return text, filename, None

    def load(self, environment: Any, name: str, globals: MutableMapping[str, Any] | None = None) -> Template:
        text, filename, _fresh = self.get_source(environment, name)
        found = code_of(environment, environment.options, text, name, filename)
        template: Template = environment.template_class.from_code(environment, found.code, globals or {})
        return template


class _Compiled:
    """A template's code, and what tells which of its lines wrote a piece of output."""

    def __init__(self, environment: _Environment, text: str, path: str) -> None:
        found = code_of(environment, environment.options, text, path, f"{_MARK}{path}")
        self.environment = environment
        self.code = found.code
        self.literal = found.literal
        self._template_lines: list[int] = []
        self._code_lines: list[int] = []

    def template(self, names: Mapping[str, Any]) -> Template:
        environment = self.environment
        template = environment.template_class.from_code(environment, self.code, environment.make_globals(dict(names)))
        if not self._code_lines:
            for template_line, code_line in template.debug_info:
                self._template_lines.append(template_line)
                self._code_lines.append(code_line)
        return template

    def line(self, code_line: int) -> int:
        index = bisect.bisect_right(self._code_lines, code_line) - 1
        return self._template_lines[index] if index >= 0 else 1


class JinjaTemplates:
    """Compiles and renders Jinja templates over one file source, with the names that every template sees.

    `confined` templates have no filters that look at this machine.
    """

    def __init__(
        self, files: FileSource, names: Mapping[str, Any], config: Mapping[str, Any], *, confined: bool = False
    ) -> None:
        self.files = files
        self.names = names
        self.config = config
        self.confined = confined
        self.sources: dict[str, str] = {}
        self._environments: dict[tuple[str, bool, str], _Environment] = {}
        self._compiled: dict[tuple[str, bool, str, str], _Compiled] = {}

    def render(
        self, text: str, *, path: str, saltenv: str, names: Mapping[str, Any], sls: bool
    ) -> tuple[str, list[int]]:
        """Render `text`; also return, for each line of the result, the line of the template that wrote it."""
        self.sources[f"{_MARK}{path}"] = text
        before = None
        loader: Any = None
        try:
            compiled = self._compile(text, path, saltenv, sls)
            loader = compiled.environment.loader
            before, loader.rendering = loader.rendering, path
            template = compiled.template(names)
            return self._run(compiled, template)
        except Exception as error:
            raise self._explain(error, text, path) from error
        finally:
            if before is not None:
                loader.rendering = before

    def _compile(self, text: str, path: str, saltenv: str, sls: bool) -> _Compiled:
        key = (saltenv, sls, path, text)
        if key not in self._compiled:
            options, body = _own_options(text)
            environment = self._environment(saltenv, sls, options)
            self._compiled[key] = _Compiled(environment, body, path)
        return self._compiled[key]

    def _environment(self, saltenv: str, sls: bool, options: Mapping[str, Any]) -> _Environment:
        key = (saltenv, sls, json.dumps(options, sort_keys=True))
        if key not in self._environments:
            configured = self.config.get("jinja_sls_env" if sls else "jinja_env") or {}
            self._environments[key] = self._make(saltenv, {**configured, **options})
        return self._environments[key]

    def _make(self, saltenv: str, options: Mapping[str, Any]) -> _Environment:
        known = {name.lower(): value for name, value in options.items() if hasattr(defaults, name.upper())}
        undefined: type[Undefined] = Undefined if self.config.get("allow_undefined") else StrictUndefined
        environment = _Environment(
            loader=_Loader(self.files, saltenv, self.sources),
            undefined=undefined,
            extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols", _SerializerTags],
            auto_reload=False,
            cache_size=-1,
            optimized=False,  # what is compiled serves more than this run
            finalize=_finalize,
            **known,
        )
        environment.options = (json.dumps(known, sort_keys=True, default=str), self.confined)
        environment.filters.update(FILTERS)
        if self.confined:
            environment.filters.update({name: _refused(name) for name in OF_THE_MACHINE})
        environment.tests.update(TESTS)
        environment.globals.update(self.names)
        environment.globals.update(
            {"saltenv": saltenv, "env": saltenv, "odict": OrderedDict, "raise": _raise, "show_full_context": _show}
        )
        return environment

    def _run(self, compiled: _Compiled, template: Template) -> tuple[str, list[int]]:
        pieces: list[str] = []
        lines = _LineMap()
        stream: Any = template.root_render_func(template.new_context())
        try:
            for piece in stream:
                pieces.append(piece)
                code_line = stream.gi_frame.f_lineno
                lines.add(piece, compiled.line(code_line), code_line in compiled.literal)
        except Exception:
            compiled.environment.handle_exception()
        text = "".join(pieces)
        source = self.sources.get(f"{_MARK}{template.name}", "")
        return (text + "\n" if source.endswith("\n") else text), lines.lines

    def _explain(self, error: Exception, text: str, path: str) -> RenderError:
        frames = list(_template_frames(error))
        if isinstance(error, TemplateSyntaxError) and (not frames or error.name != frames[-1][0].removeprefix(_MARK)):
            frames.append((f"{_MARK}{error.name or path}", error.lineno))
        if not frames:
            frames = [(f"{_MARK}{path}", 0)]
        filename, line = frames[-1]
        stack = [f"{name.removeprefix(_MARK)}:{number}" for (name, number), _again in itertools.groupby(frames[:-1])]
        message, hint = _describe(error, self.names)
        if isinstance(error, RenderError) and error.path:
            stack.append(f"{filename.removeprefix(_MARK)}:{line}")
            return RenderError(message, path=error.path, line=error.line, excerpt=error.excerpt, stack=stack, hint=hint)
        source = self.sources.get(filename, text)
        shown = render_yaml.excerpt(source, line) if line else ""
        where = filename.removeprefix(_MARK)
        return RenderError(message, path=where, line=line or None, excerpt=shown, stack=stack, hint=hint)


class _LineMap:
    """For each line of output, the template line that wrote the first thing to be seen on it."""

    def __init__(self) -> None:
        self.lines: list[int] = [1]
        self._blank = True

    def add(self, piece: str, line: int, literal: bool) -> None:
        if "\n" not in piece:
            if self._blank and not piece.isspace():
                self.lines[-1], self._blank = line, False
            return
        for number, part in enumerate(piece.split("\n")):
            here = line + number if literal else line
            if number:
                self.lines.append(here)
                self._blank = True
            if self._blank and part and not part.isspace():
                self.lines[-1], self._blank = here, False


def _own_options(text: str) -> tuple[dict[str, Any], str]:
    """Read the `#jinja2: {...}` header, by which one template sets options of its own."""
    found = _HEADER.match(text)
    if not found:
        return {}, text
    try:
        options = json.loads(found.group(2))
    except ValueError:
        return {}, text
    if not isinstance(options, dict):
        return {}, text
    # A comment takes the header's place, so that line numbers stay true.
    return options, f"{found.group(1) or ''}{{##}}\n{text[found.end() :]}"


def _finalize(value: Any) -> Any:
    """Print mappings and lists so that YAML reads them back."""
    return _flow(value) if isinstance(value, Mapping | list | tuple) else value


def _flow(value: Any) -> str:
    if isinstance(value, str):
        # of two kinds of quotes Python escapes one, which ends a text in YAML and lets it add to what is around it
        unsafe = any(letter in value for letter in "\n\r\t") or ("'" in value and '"' in value)
        return yaml_dquote(value) if unsafe else repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if type(value) is tuple:
        inner = ", ".join(map(_flow, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


def _refused(name: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise TemplateRuntimeError(f"the filter {name} looks at the machine, and pillar is rendered on the master")

    return refuse


def _raise(message: str) -> None:
    raise TemplateRuntimeError(message)


@pass_context
def _show(context: Context) -> dict[str, Any]:
    return {key: value for key, value in context.get_all().items() if key != "salt" and not callable(value)}


def _template_frames(error: BaseException) -> Iterator[tuple[str, int]]:
    trace = error.__traceback__
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if filename.startswith(_MARK):
            yield filename, trace.tb_lineno
        trace = trace.tb_next


def _no_function(name: str, functions: TemplateFunctions) -> tuple[str, str]:
    try:
        functions[name]
    except CtlError as error:
        return error.message, error.hint
    except LookupError:
        near = nearest(name, functions)
        return f"there is no function {name!r}", f"did you mean {near!r}?" if near else ""
    return f"{name!r} is undefined", ""


def _describe(error: Exception, names: Mapping[str, Any]) -> tuple[str, str]:
    if isinstance(error, TemplateNotFound):
        return f"the template {error.name!r} was not found", ""
    if isinstance(error, UndefinedError):
        message = error.message or "a name is undefined"
        function = re.search(r"TemplateFunctions object' has no attribute '([\w.]+)'", message)
        if function:
            return _no_function(function.group(1), names["salt"])
        word = re.match(r"'(\w+)' is undefined", message)
        near = nearest(word.group(1), names) if word else None
        return f"Jinja variable {message}", f"did you mean {near!r}?" if near else ""
    if isinstance(error, TemplateSyntaxError):
        return f"Jinja syntax error: {error.message}", ""
    if isinstance(error, CtlError):
        return error.message, error.hint
    if isinstance(error, TemplateError):
        return error.message or type(error).__name__, ""
    if isinstance(error, KeyError) and error.args:
        return f"there is no {error.args[0]!r}", ""
    return f"{type(error).__name__}: {error}", ""
