"""The render pipe: a file's first line (`#!jinja|yaml`) names the engines that turn it into data, one after another.

`Renderer` serves one run for one minion: it reads files from a `FileSource`, compiles each template once, and raises
`RenderError` with file, line, excerpt and the stack of includes.
"""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import render_python, render_users, render_yaml
from .context import FileSource
from .errors import FileServerError, PluginNotLoaded, RenderError, nearest
from .render_jinja import JinjaTemplates, TemplateFunctions

DEFAULT_PIPE = "jinja|yaml"
ENGINES = ("gpg", "jinja", "json", "mako", "py", "text", "toml", "yaml")
# Salt has these, and hardly a tree uses them; what to do instead is said where one is asked for.
NOT_HERE = ("cheetah", "genshi", "msgpack", "nacl", "pass", "pydsl", "pyobjects", "stateconf", "wempy", "yamlex")
_INTERPRETERS = ("/", "python", "bash", "sh", "env ")
_OLD_PIPE = re.compile(r"(yaml|json)_(jinja|mako)")


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a file rendered to. `lines` has each top-level key's line, `marks` that of (ID, state, argument)."""

    data: Any
    path: str
    lines: Mapping[str, int] = field(default_factory=dict)
    marks: Mapping[tuple[str, ...], int] = field(default_factory=dict)


@dataclass(slots=True)
class _State:
    """What goes through the pipe: text or data, and where each of the text's lines came from."""

    value: Any
    path: str
    saltenv: str
    names: dict[str, Any]
    sls: bool
    local: str = ""
    arguments: str = ""
    origin: list[int] | None = None
    marks: dict[tuple[str, ...], int] = field(default_factory=dict)


class Renderer:
    """Renders SLS files and templates for one minion.

    `engines` adds users' renderers, which go before ours: a plugin `NAME.render(data, saltenv, sls, **more)` for each.
    Where it is `confined`, templates in Jinja cannot look at this machine.
    """

    def __init__(
        self,
        files: FileSource,
        *,
        config: Mapping[str, Any],
        grains: Mapping[str, Any],
        pillar: Mapping[str, Any],
        functions: Mapping[str, Callable[..., Any]],
        default: str = "",
        engines: Mapping[str, render_users.Engine] | None = None,
        confined: bool = False,
    ) -> None:
        self.files = files
        self.config = config
        self.default = default or str(config.get("renderer") or DEFAULT_PIPE)
        self.engines = engines if engines is not None else {}
        self.functions = functions
        self.names: dict[str, Any] = {
            "salt": TemplateFunctions(functions),
            "grains": grains,
            "pillar": pillar,
            "opts": config,
            "proxy": {},
        }
        self.jinja = JinjaTemplates(files, self.names, config, confined=confined)

    def sls(
        self, path: str, saltenv: str, *, sls: str, extra: Mapping[str, Any] | None = None, default: str = ""
    ) -> Rendered:
        """Render the file `path` of the tree, known as `sls`, to data."""
        try:
            local = self.files.fetch(path, saltenv)
            text = local.read_text()
        except FileServerError as error:
            raise RenderError(error.message, path=path) from None
        except UnicodeDecodeError as error:
            raise RenderError(f"this file is not UTF-8 text: {error.reason} at byte {error.start}", path=path) from None
        names = {**sls_names(sls, path, str(local)), "saltenv": saltenv, "env": saltenv, **(extra or {})}
        return self.source(text, path=path, saltenv=saltenv, names=names, default=default, local=str(local))

    def source(
        self,
        text: str,
        *,
        path: str,
        saltenv: str,
        names: Mapping[str, Any] | None = None,
        default: str = "",
        local: str = "",
    ) -> Rendered:
        """Render SLS text that is already at hand; `path` names it in errors, `local` is where it is, if anywhere."""
        names = {"saltenv": saltenv, "env": saltenv, "sls": "", **(names or {})}
        state = _State(text, path, saltenv, dict(names), True, local)
        for name, state.arguments in self._pipe(text, path, default):
            self._step(name, state)
        lines = {keys[0]: line for keys, line in state.marks.items() if len(keys) == 1}
        return Rendered(state.value, path, lines, state.marks)

    def template(self, text: str, *, path: str, saltenv: str, context: Mapping[str, Any], engine: str = "jinja") -> str:
        """Render the text of a file that a state manages; `context` goes before the names that templates see."""
        names = {**template_names(path), "saltenv": saltenv, "env": saltenv, **context}
        state = _State(text, path, saltenv, names, False)
        self._step(engine, state)
        if not isinstance(state.value, str):
            raise RenderError(f"the engine {engine} gave {type(state.value).__name__}, not text", path=path)
        return state.value

    def data(self, value: Any, engine: str, *, path: str) -> Any:
        """Send data that is no file through one engine: what `decrypt_pillar` and `pillar_enc` do with `gpg`."""
        state = _State(value, path, "base", {"saltenv": "base", "env": "base", "sls": ""}, False)
        self._check_engine(engine, path)
        self._step(engine, state)
        return state.value

    def _pipe(self, text: str, path: str, default: str) -> Iterator[tuple[str, str]]:
        """Yield the engines of a file with their arguments; all are checked before the first is asked for."""
        first = text.split("\n", 1)[0].strip()
        pipe = default or self.default
        if first.startswith("#!") and not first[2:].strip().startswith(_INTERPRETERS):
            pipe = first[2:].strip() or pipe
        if old := _OLD_PIPE.fullmatch(pipe):
            pipe = f"{old[2]}|{old[1]}"
        steps = [part.strip().partition(" ") for part in pipe.split("|")]
        for name, _, _ in steps:
            self._check_engine(name, path)
        yield from ((name, arguments.strip()) for name, _, arguments in steps)

    def _check_engine(self, name: str, path: str) -> None:
        if name not in ENGINES and name not in self.engines:
            raise self._no_engine(name, path)
        allowed, refused = self.config.get("renderer_whitelist"), self.config.get("renderer_blacklist")
        if (allowed and name not in allowed) or (refused and name in refused):
            raise RenderError(f"the renderer {name!r} is not allowed by the configuration", path=path, line=1)

    def _no_engine(self, name: str, path: str) -> RenderError:
        try:
            self.engines[name]
        except PluginNotLoaded as error:
            return RenderError(error.message, path=path, line=1)
        except LookupError:
            pass
        if name in NOT_HERE:
            hint = f"write it for jinja or py, or put a {name}.py of your own into _renderers"
            return RenderError(f"Salt's renderer {name!r} is not there", path=path, line=1, hint=hint)
        known = sorted({*ENGINES, *self.engines})
        near = nearest(name, known)
        hint = f"did you mean {near}?" if near else f"known: {', '.join(known)}"
        return RenderError(f"there is no renderer {name!r}", path=path, line=1, hint=hint)

    def _step(self, name: str, state: _State) -> None:
        if name in self.engines:
            self._users(name, self.engines[name], state)
            return
        step = _STEPS.get(name)
        if step is None:
            raise RenderError(f"there is no template engine {name!r}", path=state.path)
        step(self, state)

    def _users(self, name: str, engine: render_users.Engine, state: _State) -> None:
        more: dict[str, Any] = {"tmplpath": state.local or state.path, "renderers": _Steps(self, state)}
        if state.arguments:
            more["argline"] = state.arguments
        state.value = render_users.call(
            engine, state.value, state.saltenv, str(state.names.get("sls", "")), more, name=name, path=state.path
        )
        state.origin = None

    def _jinja(self, state: _State) -> None:
        text, origin = self.jinja.render(
            _text(state), path=state.path, saltenv=state.saltenv, names=state.names, sls=state.sls
        )
        state.value = text
        state.origin = origin if state.origin is None else [_through(state.origin, line) for line in origin]

    def _yaml(self, state: _State) -> None:
        try:
            state.value = render_yaml.load(_text(state), path=state.path, marks=state.marks)
        except RenderError as error:
            raise _trace(error, state) from None
        if state.origin is not None:
            state.marks = {keys: _through(state.origin, line) for keys, line in state.marks.items()}

    def _json(self, state: _State) -> None:
        text = re.sub(r"\A#![^\n]*", "", _text(state))
        try:
            state.value = json.loads(text) if text.strip() else {}
        except json.JSONDecodeError as error:
            shown = render_yaml.excerpt(text, error.lineno)
            found = RenderError(f"this is not JSON: {error.msg}", path=state.path, line=error.lineno, excerpt=shown)
            raise _trace(found, state) from None

    def _toml(self, state: _State) -> None:
        try:
            state.value = tomllib.loads(_text(state))
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"line (\d+)", str(error))
            number = int(line.group(1)) if line else None
            shown = render_yaml.excerpt(_text(state), number) if number else ""
            found = RenderError(f"this is not TOML: {error}", path=state.path, line=number, excerpt=shown)
            raise _trace(found, state) from None

    def _python(self, state: _State) -> None:
        state.value = render_python.run(_text(state), state.path, {**self.names, **state.names}, self.functions)
        state.marks = {}

    def _mako(self, state: _State) -> None:
        from . import render_mako

        names = {**self.names, **state.names}
        state.value = render_mako.render(
            _text(state), path=state.path, saltenv=state.saltenv, names=names, files=self.files
        )
        state.origin = None

    def _gpg(self, state: _State) -> None:
        from . import render_gpg

        home = str(self.config.get("gpg_keydir") or "") or posixpath.join(
            str(self.config.get("config_dir", "")), "gpgkeys"
        )
        must = bool(self.config.get("gpg_decrypt_must_succeed", True))
        state.value = render_gpg.Decryption(home, state.path, must).of(state.value)

    def _keep(self, state: _State) -> None:
        """The engine `text`: what there is stays as it is."""


_STEPS: dict[str, Callable[[Renderer, _State], None]] = {
    "gpg": Renderer._gpg,
    "jinja": Renderer._jinja,
    "json": Renderer._json,
    "mako": Renderer._mako,
    "py": Renderer._python,
    "text": Renderer._keep,
    "toml": Renderer._toml,
    "yaml": Renderer._yaml,
}


class _Steps(Mapping[str, render_users.Engine]):
    """The engines as a user's renderer calls them: `renderers['yaml'](data, saltenv, sls)`."""

    def __init__(self, renderer: Renderer, state: _State) -> None:
        self._renderer = renderer
        self._state = state

    def __getitem__(self, name: str) -> render_users.Engine:
        if name not in ENGINES and name not in self._renderer.engines:
            raise KeyError(name)

        def step(data: Any, saltenv: str = "base", sls: str = "", **more: Any) -> Any:
            names = {**self._state.names, "saltenv": saltenv, "env": saltenv, "sls": sls, **(more.get("context") or {})}
            text = render_users.text_of(data)
            inner = _State(
                text, self._state.path, saltenv, names, True, self._state.local, str(more.get("argline", ""))
            )
            self._renderer._step(name, inner)
            return inner.value

        return step

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*ENGINES, *self._renderer.engines}))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def sls_names(sls: str, path: str, local: str = "") -> dict[str, Any]:
    """Make the names that tell an SLS where it is: `sls`, `slspath`, `tpldir` and their kin."""
    folder = posixpath.dirname(path)
    return {
        "sls": sls,
        "slspath": folder,
        "slsdotpath": folder.replace("/", "."),
        "slscolonpath": folder.replace("/", ":"),
        "sls_path": folder.replace("/", "_"),
        **template_names(path),
        "tplpath": local or path,
    }


def template_names(path: str) -> dict[str, Any]:
    """Make the names that tell a template where it is."""
    folder = posixpath.dirname(path)
    return {"tplpath": path, "tplfile": path, "tpldir": folder or ".", "tpldot": folder.replace("/", ".")}


def _text(state: _State) -> str:
    if not isinstance(state.value, str):
        raise RenderError("an engine after this one wants text, not data", path=state.path, line=1)
    return state.value


def _through(origin: list[int], line: int) -> int:
    return origin[min(max(line, 1), len(origin)) - 1] if origin else line


def _trace(error: RenderError, state: _State) -> RenderError:
    """Name the template's line beside an excerpt of what it rendered to."""
    if state.origin is None or error.line is None:
        return error
    line = _through(state.origin, error.line)
    excerpt = error.excerpt
    if excerpt and state.origin[: error.line] != list(range(1, error.line + 1)):
        excerpt += f"\n(this is the rendered text; its line {error.line} was written by line {line} of the file)"
    return RenderError(error.message, path=error.path, line=line, excerpt=excerpt, stack=error.stack, hint=error.hint)
