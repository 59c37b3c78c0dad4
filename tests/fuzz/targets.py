"""Fuzz targets without a memory: each takes bytes as a peer, a file or a user may send them, and returns nothing.

What a target lets out is a finding: it catches the documented errors only. A target also checks what must hold of
what was accepted (a value survives the way there and back, a path stays inside). Dialogues are in `dialogues.py`.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import inspect
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from unittest import mock

from ctl.client import output
from ctl.common import arguments, crypto, files, handshake, ipc, ipc_server, plaintext, render_yaml, wire
from ctl.common.errors import (
    ArgumentError,
    CompileError,
    CtlError,
    FileServerError,
    HandshakeError,
    RenderError,
    RequestRefused,
    TargetError,
    WireError,
)
from ctl.common.hints import encode_hint, parse_hint
from ctl.common.matchers import DictMinion
from ctl.common.render import Renderer
from ctl.common.secret import Secret
from ctl.common.session import topic_session
from ctl.common.state.compiler import compile_high
from ctl.common.state.high import Assembler
from ctl.common.state.top import Top
from ctl.common.state.tree import Tree
from ctl.common.target import KINDS, parse
from ctl.master import client_jobs, messages
from ctl.minion.job import read_job

Value = Any
GRAINS: Mapping[str, Value] = {
    "id": "web1",
    "os": "Debian",
    "roles": ["web", "db"],
    "ipv4": ["127.0.0.1", "10.1.2.3"],
    "ipv6": ["::1"],
    "deep": {"a": {"b": [1, {"c": "x"}]}, "1": None},
}
SUBJECT = DictMinion("web1", GRAINS, {"app": {"port": 8080}})
NODEGROUPS = {"web": "web* and G@os:Debian", "all": ["N@web", "or", "db*"], "plain": "web1 web2", "round": "N@round"}


def text_of(data: bytes) -> str:
    """Read bytes as text that may hold anything a `str` can, lone surrogates too."""
    if data[:1] == b"\xff":
        return data[1:].decode("utf-16-le", "surrogatepass" if len(data) % 2 else "replace")
    return data.decode("utf-8", "surrogateescape")


def frame(data: bytes) -> None:
    """What both ends read of a frame before any key is asked: type, session, HELLO, hints, a topic."""
    with contextlib.suppress(WireError):
        assert 0 <= wire.frame_type(data) <= 255
    with contextlib.suppress(WireError):
        assert len(wire.session_id(data)) == 16
    with contextlib.suppress(HandshakeError):
        handshake.parse_hello(data)
    with contextlib.suppress(WireError):
        hint = parse_hint(data)
        if data[3:4] == b"1":
            encoded = encode_hint(hint)
            assert encoded[8:] == data[8:], "a hint does not survive the way there and back"
    with contextlib.suppress(WireError):
        wire.check_header(data, wire.header(wire.REQUEST))
        assert data[:8] == wire.header(wire.REQUEST)
    found = topic_session(data)
    assert found is None or len(found) == 16


def envelope(data: bytes) -> None:
    """The strict codec of what the protocol itself reads."""
    try:
        value = wire.unpack(data)
    except WireError:
        return
    assert repr(wire.unpack(wire.pack(value))) == repr(value)


def payload(data: bytes) -> None:
    """The codec of what belongs to plugins, and what a master does with grains that a minion sent."""
    try:
        value = wire.unpack_payload(data)
    except WireError:
        return
    assert repr(wire.unpack_payload(wire.pack_payload(value))) == repr(value)
    with contextlib.suppress(WireError):
        grains = plaintext.own_grains("web1", value)
        assert grains["id"] == "web1"
        assert not plaintext.has_control(grains)
        _hostile_minion(grains)


def _hostile_minion(grains: dict[Any, Any]) -> None:
    minion = DictMinion("web1", grains, grains)
    for test in _terms():
        test.matches(minion)


@functools.cache
def _terms() -> list[Any]:
    words = ("G@os:Deb*", "G@a:b:0:*", "P@os:(a|b)+x", "I@a:*", "J@a:b:.*", "S@10.0.0.0/8", "G@*:x", "P@.*:x")
    return [parse(word) for word in words]


def request(data: bytes) -> None:
    """The arguments of every method of a session, and of every operation of the clients' socket."""
    if not data:
        return
    try:
        fields = wire.unpack(data[1:])
    except WireError:
        return
    if not isinstance(fields, dict):
        return
    kinds = _message_kinds()
    with contextlib.suppress(RequestRefused):
        messages.read(kinds[data[0] % len(kinds)], fields)
    with contextlib.suppress(CtlError):
        client_jobs.read((client_jobs.Publish, client_jobs.FollowJob, client_jobs.Target)[data[0] % 3], fields)


@functools.cache
def _message_kinds() -> list[type[messages.Message]]:
    found = [kind for _, kind in inspect.getmembers(messages, inspect.isclass) if issubclass(kind, messages.Message)]
    return sorted(found, key=lambda kind: kind.__name__)


def job(data: bytes) -> None:
    """The body of a publication, as a minion reads it."""
    try:
        found = read_job(data, b"master")
    except WireError:
        return
    found.expects(3)
    found.live_terms()
    with contextlib.suppress(TargetError):
        found.target().matches(SUBJECT)


def _sample(
    name: str,
    count: int = 1,
    ratio: float = 0.5,
    on: bool = False,
    words: list[str] | None = None,
    table: dict[str, int] | None = None,
    mode: arguments.Mode = "0644",
    kind: Literal["a", "b"] = "a",
    either: bool | int | list[str] = True,
    password: Secret[str] = "",
    extra: Annotated[int, "x"] = 0,
) -> None:
    """Take every kind of argument."""


def _open(*words: str, **more: Any) -> None:
    """Take anything."""


def schema(data: bytes) -> None:
    """Words of a command line, and arguments as they arrive, against signatures."""
    text = text_of(data)
    words = text.split("\0")
    for fun in ("test.ping", "cmd.run"):
        args, kwargs = arguments.parse_cli(words, ("plain",), fun)
        for function in (_sample, _open):
            _bind(function, args, kwargs)
    with contextlib.suppress(WireError):
        value = wire.unpack_payload(data)
        _bind(_sample, value if isinstance(value, list) else [], value if isinstance(value, dict) else {})


def _bind(function: Callable[..., Any], args: list[Any], kwargs: dict[Any, Any]) -> None:
    args, kwargs = arguments.take_keywords(function, args, {key: kwargs[key] for key in kwargs if type(key) is str})
    arguments.problems(function, kwargs)
    with contextlib.suppress(ArgumentError):
        arguments.bind(function, args, kwargs)


def target(data: bytes) -> None:
    """Target expressions of every kind; one that parses means the same once it is written out."""
    if not data:
        return
    text = text_of(data[1:])
    kind = KINDS[data[0] % len(KINDS)]
    expression: Any = text.split("\0") if data[0] & 0x80 else text
    try:
        found = parse(expression, kind, ":|/"[data[0] // 16 % 3], NODEGROUPS)
    except TargetError as error:
        str(error)
        return
    matches = found.matches(SUBJECT)
    assert type(matches) is bool
    again = parse(found.expand(), "compound", ":|/"[data[0] // 16 % 3])
    assert again.matches(SUBJECT) == matches, f"{found.expand()!r} means something else"
    found.explain(SUBJECT)


@functools.cache
def _playground() -> Path:
    """Make a root with links that lead out of it and within it."""
    directory = Path(tempfile.mkdtemp(prefix="ctl-fuzz-"))
    atexit.register(shutil.rmtree, directory)
    root = directory / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "file").write_text("x")
    (root / "out").symlink_to("/etc")
    (root / "up").symlink_to("..")
    (root / "in").symlink_to("a/b")
    (root / "round").symlink_to("round")
    return root


def path(data: bytes) -> None:
    """Paths, environments and ids that a peer names."""
    text = text_of(data)
    root = _playground()
    inside = os.path.realpath(root)
    relative, _ = files.split_url(text)
    for name in (text, relative):
        with contextlib.suppress(FileServerError):
            joined = os.path.realpath(files.safe_join(root, name))
            assert joined == inside or joined.startswith(inside + "/"), f"{name!r} leads to {joined}"
        source = files.Roots({"base": [root]})
        for saltenv in ("base", text):
            with contextlib.suppress(FileServerError):
                found = source.locate(name, saltenv)
                assert found is None or os.path.realpath(found).startswith(inside + "/")
    if handshake.valid_id(text):
        assert text.isascii()
        assert text not in (".", "..")
        assert not set(text) & set("/\\\0\n ")


def key(data: bytes) -> None:
    """Fingerprints and public keys as people give them."""
    with contextlib.suppress(ValueError):
        crypto.fingerprint_bytes(text_of(data))
    with contextlib.suppress(ValueError):
        assert len(crypto.public_from_pem(data)) == 32


def yaml(data: bytes) -> None:
    """YAML as files of a tree have it: what loads can be written."""
    # what counts aliases is the same below a smaller limit, which instrumented code reaches in a moment
    with mock.patch.object(render_yaml, "MAX_ALIASED_NODES", 2_000):
        _yaml(data.decode("utf-8", "replace"))


def _yaml(text: str) -> None:
    for load in (render_yaml.load, render_yaml.load_all):
        marks: dict[tuple[str, ...], int] = {}
        try:
            value = load(text, path="x.sls", marks=marks) if load is render_yaml.load else load(text, path="x.sls")
        except RenderError as error:
            str(error)
            continue
        if "*" not in text:  # what aliases expand to takes long to write
            render_yaml.dump(value)
            render_yaml.dump(value, flow=True)


@functools.cache
def _tree() -> tuple[files.Roots, Renderer, Path]:
    directory = Path(tempfile.mkdtemp(prefix="ctl-fuzz-"))
    atexit.register(shutil.rmtree, directory)
    (directory / "a").mkdir()
    (directory / "a" / "init.sls").write_text("one:\n  test.nop: []\n")
    (directory / "b.sls").write_text("include: [a]\ntwo:\n  test.nop:\n    - require: [{test: one}]\n")
    roots = files.Roots({"base": [directory], "dev": [directory]})
    renderer = Renderer(
        roots, config={"renderer": "yaml"}, grains=GRAINS, pillar={}, functions={"test.ping": lambda: True}
    )
    return roots, renderer, directory


def sls(data: bytes) -> None:
    """An SLS file from its YAML to low chunks: mistakes become sentences."""
    text = data.decode("utf-8", "replace")
    if text.startswith("#!"):
        return  # names other engines, such as Python
    roots, renderer, _ = _tree()
    high = Assembler(Tree(roots, {}), renderer).add_text(text, path="x.sls", saltenv="base")
    program, problems = compile_high(high.data, marks=high.marks, sls=high.sls)
    assert program is not None
    assert all(isinstance(problem, str) and problem for problem in [*problems, *high.problems])


def top(data: bytes) -> None:
    """A top file, matched against a minion."""
    text = data.decode("utf-8", "replace")
    if text.startswith("#!"):
        return
    roots, renderer, directory = _tree()
    (directory / "top.sls").write_text(text)
    with contextlib.suppress(CompileError):
        found = Top(roots, renderer, {"nodegroups": NODEGROUPS}, ordered=bool(data[-1:] < b"g")).matches(SUBJECT)
        assert isinstance(found, dict)


class _Wire(asyncio.Transport):
    """A transport that only remembers that it was cut."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = False

    def abort(self) -> None:
        self.cut = True

    def close(self) -> None:
        self.cut = True


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    return loop


def socket(data: bytes) -> None:
    """What arrives at the clients' socket in pieces, and an answer as a client reads it."""
    _loop().run_until_complete(_arrive(data))
    with contextlib.suppress(WireError):
        found = ipc.decode(data)
        assert isinstance(ipc.remote_error(found), CtlError)
    with contextlib.suppress(WireError):
        if len(data) == 4:
            assert ipc.check_length(data) <= ipc.MAX_FRAME_BYTES


async def _arrive(data: bytes) -> None:
    connection = ipc_server.Connection(lambda made: None)
    wire_ = _Wire()
    connection.connection_made(wire_)
    step = 1 + (data[0] if data else 0)
    for start in range(0, len(data), step):
        if not wire_.cut:
            connection.data_received(data[start : start + step])
    connection.connection_lost(None)
    while (request := connection.requests.get_nowait()) is not None:
        assert isinstance(request["op"], str)


def shown(data: bytes) -> None:
    """A return of a minion, printed by every outputter; none lets a terminal's controls through."""
    try:
        value = wire.unpack_payload(data)
    except WireError:
        return
    style = output.Style(terminal=True)
    for name in output.NAMES:
        text = output.render(name, {"web1": value}, style)
        assert not set(text.replace("\r\n", "\n")) & _CONTROLS, f"{name} lets a control character through"


_CONTROLS = {chr(number) for number in range(32)} - {"\n", "\t"} | {"\x7f", "\x9b"}

TARGETS: dict[str, Callable[[bytes], None]] = {
    "frame": frame,
    "envelope": envelope,
    "payload": payload,
    "request": request,
    "job": job,
    "schema": schema,
    "target": target,
    "path": path,
    "key": key,
    "yaml": yaml,
    "sls": sls,
    "top": top,
    "socket": socket,
    "shown": shown,
}
