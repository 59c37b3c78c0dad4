"""The clients' socket: framing, credentials, streams, and peers that misbehave."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common import ipc, ipc_server
from ctl.common.errors import AuthorizationError, ConfigError, MasterUnavailable, RemoteError, TargetError, WireError

Ask = Callable[[Path], Any]


async def _answer(request: dict[str, Any], peer: ipc_server.Peer, stream: ipc_server.Stream) -> Any:
    match request["op"]:
        case "who":
            return {"uid": peer.uid, "pid": peer.pid}
        case "count":
            for number in range(request["to"]):
                await stream.send("number", number)
            return "done"
        case "wrong":
            raise TargetError("no such word", expression="a annd b", position=2, hint="did you mean and?")
        case "broken":
            return 1 / 0
        case "hang":
            await asyncio.Event().wait()
    raise AssertionError(request)


def _with_server(path: Path, ask: Ask, handler: Callable[..., Awaitable[Any]] = _answer) -> Any:
    async def run() -> Any:
        server = ipc_server.Server(path, handler)
        await server.start()
        try:
            return await asyncio.to_thread(ask, path)
        finally:
            await server.close()

    return asyncio.run(run())


def test_the_kernel_says_who_asks(tmp_path: Path) -> None:
    def ask(path: Path) -> Any:
        with ipc.connect(path) as client:
            return client.call("who", uid=12345)

    assert _with_server(tmp_path / "s", ask) == {"uid": os.getuid(), "pid": os.getpid()}


def test_items_stream_before_the_result(tmp_path: Path) -> None:
    def ask(path: Path) -> Any:
        with ipc.connect(path) as client:
            first = list(client.request("count", to=3))
            return first, client.call("count", to=1)

    items, again = _with_server(tmp_path / "s", ask)
    assert items == [("number", 0), ("number", 1), ("number", 2), ("result", "done")]
    assert again == "done"


def test_a_path_too_long_for_the_kernel_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)

    def ask(path: Path) -> Any:
        with ipc.connect(path) as client:
            return client.call("who")["uid"]

    assert _with_server(deep / "ctl.sock", ask) == os.getuid()


def test_a_target_error_keeps_its_place(tmp_path: Path) -> None:
    def ask(path: Path) -> None:
        with ipc.connect(path) as client, pytest.raises(TargetError) as caught:
            client.call("wrong")
        assert caught.value.position == 2
        assert "^" in str(caught.value)

    _with_server(tmp_path / "s", ask)


def test_a_failing_handler_answers_and_the_connection_lives(tmp_path: Path) -> None:
    def ask(path: Path) -> None:
        with ipc.connect(path) as client:
            with pytest.raises(RemoteError, match="division by zero"):
                client.call("broken")
            assert client.call("count", to=0) == "done"

    _with_server(tmp_path / "s", ask)


def test_a_client_that_goes_away_ends_its_handler(tmp_path: Path) -> None:
    ended: list[str] = []

    async def handler(_request: dict[str, Any], _peer: ipc_server.Peer, _stream: ipc_server.Stream) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    async def run() -> None:
        server = ipc_server.Server(tmp_path / "s", handler)
        await server.start()
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(ipc.encode({"op": "hang"}))
        await writer.drain()
        await asyncio.sleep(0)
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(5):
            while not ended:
                await asyncio.sleep(0.005)
        await server.close()
        del reader

    asyncio.run(run())


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("!I", ipc.MAX_FRAME_BYTES + 1),
        struct.pack("!I", 3) + b"\xc1\xc1\xc1",
        struct.pack("!I", 1) + b"\x01",
        ipc.encode({"no": "op"}),
        ipc.encode([1]),
    ],
)
def test_what_is_no_request_is_cut_off(tmp_path: Path, data: bytes) -> None:
    def ask(path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.settimeout(5)
            sock.sendall(data)
            with pytest.raises(ConnectionResetError):
                if not sock.recv(1):
                    raise ConnectionResetError
        with ipc.connect(path) as client:
            assert client.call("count", to=0) == "done"

    _with_server(tmp_path / "s", ask)


def test_no_master_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(MasterUnavailable, match="no master is running here"):
        ipc.connect(tmp_path / "nothing")


def test_a_frame_over_the_limit_is_not_sent() -> None:
    with pytest.raises(WireError, match="over the limit"):
        ipc.encode(b"x" * (ipc.MAX_FRAME_BYTES + 1))


def test_a_directory_that_everyone_can_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    async def run() -> None:
        with pytest.raises(ConfigError, match="everyone can write"):
            await ipc_server.Server(tmp_path / "s", _answer).start()

    asyncio.run(run())


def _as_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server take this process for one of a user who may not do everything."""
    monkeypatch.setattr(ipc_server, "is_full", lambda uid: False)


def _serve(path: Path, ask: Ask, handler: Callable[..., Awaitable[Any]] = _answer, **bounds: Any) -> Any:
    async def run() -> Any:
        server = ipc_server.Server(path, handler, bounds=ipc_server.Bounds(**bounds))
        await server.start()
        try:
            return await asyncio.to_thread(ask, path)
        finally:
            await server.close()

    return asyncio.run(run())


def test_a_large_request_of_somebody_unknown_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _as_somebody_else(monkeypatch)

    def ask(path: Path) -> None:
        with ipc.connect(path) as client, pytest.raises(MasterUnavailable):
            client.call("who", padding="x" * (ipc_server.UNKNOWN_FRAME_BYTES + 1))
        with ipc.connect(path) as client:
            assert client.call("who")["uid"] == os.getuid()
            assert client.call("who", padding="x" * 1024 * 1024)["uid"] == os.getuid()  # once one was granted

    _serve(tmp_path / "s", ask)

    def ask_at_once(path: Path) -> None:
        with ipc.connect(path) as client:
            assert client.call("who", padding="x" * 1024 * 1024)["uid"] == os.getuid()

    _serve(tmp_path / "s", ask_at_once, trusts=lambda peer: True)


def test_a_refused_request_makes_no_room_for_a_large_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _as_somebody_else(monkeypatch)

    async def refuse(request: dict[str, Any], peer: ipc_server.Peer, stream: ipc_server.Stream) -> Any:
        raise AuthorizationError("no")

    def ask(path: Path) -> None:
        with ipc.connect(path) as client:
            with pytest.raises(AuthorizationError):
                client.call("who")
            with pytest.raises(MasterUnavailable):
                client.call("who", padding="x" * 1024 * 1024)

    _serve(tmp_path / "s", ask, refuse)


def test_connections_of_one_user_are_bounded_and_the_last_ones_are_for_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = False
    monkeypatch.setattr(ipc_server, "is_full", lambda uid: full)

    def ask(path: Path) -> None:
        nonlocal full
        clients = [ipc.connect(path) for _ in range(3)]
        try:
            assert [client.call("who")["uid"] for client in clients] == [os.getuid()] * 3
            with ipc.connect(path) as one_more, pytest.raises(MasterUnavailable):
                one_more.call("who")
            full = True
            with ipc.connect(path) as root:
                assert root.call("who")["uid"] == os.getuid()
            full = False
            clients.pop().close()
            _eventually_served(path)
        finally:
            for client in clients:
                client.close()

    _serve(tmp_path / "s", ask, per_user=3, connections=8, kept=2)


def _eventually_served(path: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            with ipc.connect(path) as client:
                assert client.call("who")["uid"] == os.getuid()
                return
        except MasterUnavailable:
            assert time.monotonic() < deadline


def test_a_request_that_trickles_in_has_ten_seconds_in_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipc_server, "READ_TIMEOUT_SECONDS", 0.5)

    def ask(path: Path) -> float:
        sock = ipc.connect_socket(path)
        began = time.monotonic()
        with sock:
            sock.settimeout(0.1)
            sock.sendall(ipc.LENGTH.pack(60_000))
            while time.monotonic() - began < 10:
                try:
                    sock.sendall(b"x")
                    if sock.recv(1) == b"":
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
        return time.monotonic() - began

    assert _serve(tmp_path / "s", ask) < 5.0


def test_who_reads_nothing_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _as_somebody_else(monkeypatch)
    monkeypatch.setattr(ipc_server, "WRITE_TIMEOUT_SECONDS", 0.3)
    ended: list[str] = []

    async def pour(request: dict[str, Any], peer: ipc_server.Peer, stream: ipc_server.Stream) -> Any:
        try:
            while True:
                await stream.send("data", bytes(65536))
        except ConnectionError as error:
            ended.append(str(error))
            raise

    def ask(path: Path) -> None:
        with ipc.connect_socket(path) as sock:
            sock.sendall(ipc.encode({"op": "pour"}))
            deadline = time.monotonic() + 10
            while not ended and time.monotonic() < deadline:
                time.sleep(0.01)

    _serve(tmp_path / "s", ask, pour)
    assert ended == ["the client does not read"]


def test_requests_that_wait_are_bounded_by_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _as_somebody_else(monkeypatch)

    def ask(path: Path) -> None:
        with ipc.connect_socket(path) as sock:
            sock.settimeout(10)
            frame = ipc.encode({"op": "hang", "padding": "x" * 60_000})
            with pytest.raises((ConnectionError, BrokenPipeError)):
                for _ in range(20):
                    sock.sendall(frame)
                if not sock.recv(1):
                    raise ConnectionResetError

    _serve(tmp_path / "s", ask)
